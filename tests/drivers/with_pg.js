// pg (node-postgres), with pg-copy-streams for COPY.
const assert = require("node:assert");
const { once } = require("node:events");
const { Readable } = require("node:stream");
const { pipeline } = require("node:stream/promises");
const { text } = require("node:stream/consumers");
const { Client, Pool, Query } = require("pg");
const copy = require("pg-copy-streams");
const { check, copied, direct, large, report, restart, tls, verifyLarge } = require("./checks.js");

const settings = { ssl: tls(), sslnegotiation: direct ? "direct" : undefined, password: process.env.PGPASSWORD };
const connect = async () => {
  const client = new Client(settings);
  await client.connect();
  return client;
};

(async () => {
  report("version", require("pg/package.json").version);
  let client;
  await check("login", async () => {
    client = await connect();
    const { rows } = await client.query("select current_user as name");
    assert.deepStrictEqual(rows, [{ name: process.env.PGUSER }]);
  });
  await check("prepared", async () => {
    for (let n = 0; n < 100; n++) {
      const values = [n, "żółw\n".repeat(n), Buffer.from([0, 255])];
      const question = { name: "ask", text: "select $1::int + 1 as n, $2::text as t, $3::bytea as b", values };
      assert.deepStrictEqual((await client.query(question)).rows, [{ n: n + 1, t: values[1], b: values[2] }]);
    }
  });
  await check("large", async () => verifyLarge((await client.query(large)).rows));
  await check("copy", async () => {
    await client.query("create temp table copied (n int, t text)");
    await pipeline(Readable.from([copied]), client.query(copy.from("copy copied from stdin")));
    const received = await text(client.query(copy.to("copy (select * from copied order by n) to stdout")));
    assert.ok(received === copied, "other rows");
  });
  await check("error", async () => {
    await assert.rejects(client.query("select 1 / $1::int", [0]), { code: "22012" });
    await client.query("select 1");
  });
  await check("cancel", async () => {
    const query = new Query("select pg_sleep(60)");
    const failed = once(query, "end").catch((error) => error);
    client.query(query);
    const canceller = new Client(settings);
    // With direct TLS the request leaves in clear, and the driver begins TLS on a connection that the server has closed.
    canceller.connection.on("error", () => {});
    setTimeout(() => canceller.cancel(client, query), 1000);
    assert.strictEqual((await failed).code, "57014");
  });
  await check("notify", async () => {
    const received = once(client, "notification", { signal: AbortSignal.timeout(20_000) });
    await client.query("listen drivers");
    const other = await connect();
    await other.query("notify drivers, 'received'");
    await other.end();
    assert.strictEqual((await received)[0].payload, "received");
  });
  await check("transaction", async () => {
    await client.query("create temp table kept (n int)");
    for (const [n, end] of [[1, "commit"], [2, "rollback"]]) {
      await client.query("begin");
      await client.query("insert into kept values ($1)", [n]);
      await client.query(end);
    }
    assert.deepStrictEqual((await client.query("select n from kept")).rows, [{ n: 1 }]);
    await client.end();
  });
  await check("reconnect", async () => {
    const pool = new Pool({ ...settings, max: 4 });
    const lost = once(pool, "error", { signal: AbortSignal.timeout(20_000) }).catch((error) => error);
    await pool.query("select 1");
    await restart();
    assert.ok(Array.isArray(await lost), "the pool saw no error");
    await Promise.all(Array.from({ length: 10 }, () => pool.query("select 1")));
    await pool.end();
  });
  process.exit();
})();
