<?php
// PDO with pdo_pgsql, with the libpq of the system.
error_reporting(E_ALL & ~E_DEPRECATED);
echo "version\t", phpversion("pdo_pgsql"), ", libpq ", PGSQL_LIBPQ_VERSION, "\n";
if (getenv("PGSSLNEGOTIATION") === "direct" && version_compare(PGSQL_LIBPQ_VERSION, "17", "<")) {
    echo "login\timpossible\tlibpq before 17 always sends SSLRequest\n";
    exit;
}

function check(string $name, callable $step): void
{
    try {
        $step();
        echo "$name\tok\n";
    } catch (Throwable $error) {
        echo "$name\tfail\t", preg_replace('/\s+/', " ", $error->getMessage()), "\n";
    }
}

function same(mixed $found, mixed $expected): void
{
    if ($found !== $expected) {
        throw new Exception(substr(json_encode($found), 0, 80) . " instead of " . substr(json_encode($expected), 0, 80));
    }
}

function connect(): PDO
{
    // libpq's variables have the rest.
    return new PDO("pgsql:", getenv("PGUSER"), getenv("PGPASSWORD") ?: null);
}

function state(PDO $pdo, string $sql): string
{
    try {
        $pdo->query($sql);
        return "no error";
    } catch (PDOException $error) {
        return $error->getCode();
    }
}

check("login", function () use (&$pdo) {
    $pdo = connect();
    same($pdo->query("select current_user")->fetchColumn(), getenv("PGUSER"));
});
check("prepared", function () use (&$pdo) {
    $statement = $pdo->prepare("select ?::int + 1, ?::text");
    for ($n = 0; $n < 100; $n++) {
        $statement->execute([$n, str_repeat("żółw\n", $n)]);
        same($statement->fetch(PDO::FETCH_NUM), [$n + 1, str_repeat("żółw\n", $n)]);
    }
});
check("large", function () use (&$pdo) {
    ini_set("memory_limit", "512M");
    $rows = $pdo->query("select n, repeat(md5(n::text), 32) from generate_series(1, 51200) as n", PDO::FETCH_NUM);
    $count = 0;
    foreach ($rows as [$n, $text]) {
        same([$n, strlen($text)], [++$count, 1024]);
    }
    same($count, 51200);
});
check("copy", function () use (&$pdo) {
    $pdo->exec("create temp table copied (n int, t text)");
    $lines = array_map(fn ($n) => "$n\tżółw $n\n", range(0, 9999));
    $pdo->pgsqlCopyFromArray("copied", $lines);
    same($pdo->pgsqlCopyToArray("copied"), $lines);
});
check("error", function () use (&$pdo) {
    same(state($pdo, "select 1 / 0"), "22012");
    same($pdo->query("select 1")->fetchColumn(), 1);
});
echo "cancel\timpossible\thas no cancel requests\n";
check("notify", function () use (&$pdo) {
    $pdo->exec("listen drivers");
    connect()->exec("notify drivers, 'received'");
    same($pdo->pgsqlGetNotify(PDO::FETCH_ASSOC, 20000)["payload"], "received");
});
check("transaction", function () use (&$pdo) {
    $pdo->exec("create temp table kept (n int)");
    foreach ([1 => "commit", 2 => "rollBack"] as $n => $end) {
        $pdo->beginTransaction();
        $pdo->exec("insert into kept values ($n)");
        $pdo->$end();
    }
    same($pdo->query("select n from kept")->fetchAll(PDO::FETCH_COLUMN), [1]);
});
// The driver has no pool.
check("reconnect", function () use (&$pdo) {
    echo "restart\n";
    fgets(STDIN);
    if (state($pdo, "select 1") === "no error") {
        throw new Exception("the session survived");
    }
    same(connect()->query("select 1")->fetchColumn(), 1);
});
