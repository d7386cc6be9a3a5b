// postgres (postgres.js): prepares and pipelines all queries.
const assert = require("node:assert");
const postgres = require("postgres");

(async () => {
  const sql = postgres({ max: 4 });
  const check = async (n) => {
    const text = "żółw\n".repeat(n);
    const [row] = await sql`select ${n}::int + 1 as n, ${text}::text as t`;
    assert.deepStrictEqual({ ...row }, { n: n + 1, t: text });
  };
  await Promise.all(Array.from({ length: 100 }, (_, n) => check(n)));
  await assert.rejects(sql`select 1 / ${0}::int`, { code: "22012" });
  const sleeping = sql`select pg_sleep(300) as of_postgres_js`.execute();
  // A cancel request before the query has no effect.
  const running = () => sql`select 1 from pg_stat_activity where state = 'active' and query = 'select pg_sleep(300) as of_postgres_js'`;
  const cancelled = (async () => {
    while ((await running()).length === 0) await new Promise((resolve) => setTimeout(resolve, 100));
    sleeping.cancel();
  })();
  await assert.rejects(sleeping, { code: "57014" });
  await cancelled;
  const received = new Promise((resolve) => sql.listen("drivers", resolve).then(() => sql.notify("drivers", "received")));
  assert.strictEqual(await received, "received");
  await sql.end();
  console.log("ok");
})();
