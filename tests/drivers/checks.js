// What the Node programs share: the checks, their results on standard output (see run.sh), and TLS as libpq's variables say.
const fs = require("node:fs");
const { once } = require("node:events");

const direct = process.env.PGSSLNEGOTIATION === "direct";
const rows = 51_200;
const large = `select n, repeat(md5(n::text), 32) as t from generate_series(1, ${rows}) as n`;
const copied = Array.from({ length: 10_000 }, (_, n) => `${n}\tżółw ${n}\n`).join("");

const clean = (field) => String(field).split(/\s+/).join(" ");
const report = (...fields) => console.log(fields.map(clean).join("\t"));

class Impossible extends Error {}

async function check(name, step) {
  try {
    await step();
    report(name, "ok");
  } catch (error) {
    report(name, error instanceof Impossible ? "impossible" : "fail", error.message);
  }
}

// Has the server restarted, and returns once it listens.
async function restart() {
  report("restart");
  await once(process.stdin, "data");
  process.stdin.pause();
}

function tls() {
  const { PGSSLMODE, PGSSLROOTCERT, PGSSLCERT, PGSSLKEY } = process.env;
  if (PGSSLMODE === "disable") return false;
  const ca = fs.readFileSync(PGSSLROOTCERT);
  return PGSSLCERT ? { ca, cert: fs.readFileSync(PGSSLCERT), key: fs.readFileSync(PGSSLKEY) } : { ca };
}

function verifyLarge(received) {
  if (received.length !== rows) throw new Error(`${received.length} rows`);
  received.forEach(({ n, t }, index) => {
    if (n !== index + 1 || t.length !== 1024) throw new Error(`row ${index + 1} is ${n} with ${t.length} characters`);
  });
}

module.exports = { Impossible, check, copied, direct, large, report, restart, tls, verifyLarge };
