// pg (node-postgres): named statements, and a pool.
const assert = require("node:assert");
const { Pool } = require("pg");

(async () => {
  const pool = new Pool({ max: 4 });
  const check = async (n) => {
    const values = [n, "żółw\n".repeat(n), Buffer.from([0, 255])];
    const { rows } = await pool.query({ name: "ask", text: "select $1::int + 1 as n, $2::text as t, $3::bytea as b", values });
    assert.deepStrictEqual(rows, [{ n: n + 1, t: values[1], b: values[2] }]);
  };
  await Promise.all(Array.from({ length: 100 }, (_, n) => check(n)));
  await assert.rejects(pool.query("select 1 / $1::int", [0]), { code: "22012" });
  await pool.end();
  console.log("ok");
})();
