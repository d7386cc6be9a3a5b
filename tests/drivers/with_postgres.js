// postgres (postgres.js), which prepares and pipelines all queries.
const assert = require("node:assert");
const fs = require("node:fs");
const path = require("node:path");
const { Readable } = require("node:stream");
const { pipeline } = require("node:stream/promises");
const { text } = require("node:stream/consumers");
const postgres = require("postgres");
const { check, copied, direct, large, report, restart, tls, verifyLarge } = require("./checks.js");

(async () => {
  // The package exports no package.json.
  const manifest = path.join(path.dirname(require.resolve("postgres")), "../../package.json");
  report("version", JSON.parse(fs.readFileSync(manifest)).version);
  const sql = postgres({ max: 4, ssl: tls(), sslnegotiation: direct ? "direct" : undefined });
  await check("login", async () => {
    const [row] = await sql`select current_user as name`;
    assert.strictEqual(row.name, process.env.PGUSER);
  });
  await check("prepared", async () => {
    const ask = async (n) => {
      const wanted = "żółw\n".repeat(n);
      const [row] = await sql`select ${n}::int + 1 as n, ${wanted}::text as t`;
      assert.deepStrictEqual({ ...row }, { n: n + 1, t: wanted });
    };
    await Promise.all(Array.from({ length: 100 }, (_, n) => ask(n)));
  });
  await check("large", async () => verifyLarge(await sql.unsafe(large)));
  await check("copy", async () => {
    // Each on a separate connection: after a COPY, a reserved connection of the driver stops at the next query.
    const session = postgres({ max: 1, ssl: tls(), sslnegotiation: direct ? "direct" : undefined });
    await session`create temp table copied (n int, t text)`;
    await pipeline(Readable.from([copied]), await session`copy copied from stdin`.writable());
    const received = await text(await session`copy (select * from copied order by n) to stdout`.readable());
    await session.end({ timeout: 1 });
    assert.ok(received === copied, "other rows");
  });
  await check("error", async () => {
    await assert.rejects(sql`select 1 / ${0}::int`, { code: "22012" });
    await sql`select 1`;
  });
  await check("cancel", async () => {
    const sleeping = sql`select pg_sleep(60)`.execute();
    setTimeout(() => sleeping.cancel(), 1000);
    await assert.rejects(sleeping, { code: "57014" });
  });
  await check("notify", async () => {
    const received = new Promise((resolve, reject) => {
      sql.listen("drivers", resolve).then(() => sql.notify("drivers", "received"), reject);
    });
    assert.strictEqual(await received, "received");
  });
  await check("transaction", async () => {
    const session = await sql.reserve();
    await session`create temp table kept (n int)`;
    for (const [n, end] of [[1, "commit"], [2, "rollback"]]) {
      await session`begin`;
      await session`insert into kept values (${n})`;
      await session.unsafe(end);
    }
    assert.deepStrictEqual([...(await session`select n from kept`)], [{ n: 1 }]);
    session.release();
  });
  await check("reconnect", async () => {
    await restart();
    // A connection notices the end of its session when it reads.
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await Promise.all(Array.from({ length: 10 }, () => sql`select 1`));
  });
  process.exit();
})();
