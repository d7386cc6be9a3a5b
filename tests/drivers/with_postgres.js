// postgres (postgres.js): prepares and pipelines everything.
const assert = require("node:assert");
const postgres = require("postgres");

(async () => {
  const sql = postgres({ max: 4 });
  const ask = async (n) => {
    const text = "żółw\n".repeat(n);
    const [row] = await sql`select ${n}::int + 1 as n, ${text}::text as t`;
    assert.deepStrictEqual({ ...row }, { n: n + 1, t: text });
  };
  await Promise.all(Array.from({ length: 100 }, (_, n) => ask(n)));
  await assert.rejects(sql`select 1 / ${0}::int`, { code: "22012" });
  const sleeping = sql`select pg_sleep(300) as of_postgres_js`.execute();
  // A cancel request that comes before the query cancels nothing.
  const sleeps = () => sql`select 1 from pg_stat_activity where state = 'active' and query = 'select pg_sleep(300) as of_postgres_js'`;
  const asleep = (async () => {
    while ((await sleeps()).length === 0) await new Promise((resolve) => setTimeout(resolve, 100));
    sleeping.cancel();
  })();
  await assert.rejects(sleeping, { code: "57014" });
  await asleep;
  const seen = new Promise((resolve) => sql.listen("drivers", resolve).then(() => sql.notify("drivers", "heard")));
  assert.strictEqual(await seen, "heard");
  await sql.end();
  console.log("ok");
})();
