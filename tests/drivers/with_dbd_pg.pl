# DBD::Pg, with the libpq of the system.
use strict;
use warnings;
use utf8;
use DBI;
use DBD::Pg qw(:async);

$| = 1;
binmode STDOUT, ":utf8";

sub connect_database { DBI->connect("dbi:Pg:", "", "", { RaiseError => 1, PrintError => 0, pg_enable_utf8 => 1 }) }

sub check {
    my ($name, $step) = @_;
    if (eval { $step->(); 1 }) { print "$name\tok\n" }
    else { print "$name\tfail\t", join(" ", split(" ", $@)), "\n" }
}

sub same {
    my ($found, $expected) = @_;
    die substr($found // "nothing", 0, 80) . " instead of " . substr($expected, 0, 80) . "\n" if ($found // "") ne $expected;
}

my $database;
my $connected = eval { $database = connect_database(); 1 };
my $problem = $@;
print "version\t$DBD::Pg::VERSION\n";
if (($ENV{PGSSLNEGOTIATION} // "") eq "direct" && $connected && $database->{pg_lib_version} < 170000) {
    print "login\timpossible\tlibpq before 17 always sends SSLRequest\n";
    exit;
}

check("login", sub {
    die $problem unless $connected;
    same($database->selectrow_array("select current_user"), $ENV{PGUSER});
});
check("prepared", sub {
    my $statement = $database->prepare("select ?::int + 1, ?::text");
    for my $n (0 .. 99) {
        my $text = "żółw\n" x $n;
        $statement->execute($n, $text);
        same(join("|", $statement->fetchrow_array), $n + 1 . "|$text");
    }
});
check("large", sub {
    my $rows = $database->selectall_arrayref("select n, repeat(md5(n::text), 32) from generate_series(1, 51200) as n");
    my $count = 0;
    for my $row (@$rows) { $count++; same("$row->[0] " . length($row->[1]), "$count 1024") }
    same($count, 51200);
});
check("copy", sub {
    $database->do("create temp table copied (n int, t text)");
    my @lines = map { "$_\tżółw $_\n" } 0 .. 9999;
    $database->do("copy copied from stdin");
    $database->pg_putcopydata($_) for @lines;
    $database->pg_putcopyend;
    $database->do("copy (select * from copied order by n) to stdout");
    my ($received, $line) = ("", "");
    $received .= $line while $database->pg_getcopydata($line) >= 0;
    utf8::decode($received) unless utf8::is_utf8($received);
    same($received, join("", @lines));
});
check("error", sub {
    eval { $database->do("select 1 / 0") };
    same($database->state, "22012");
    same($database->selectrow_array("select 1"), 1);
});
check("cancel", sub {
    $database->do("select pg_sleep(60)", { pg_async => PG_ASYNC });
    sleep 1;
    $database->pg_cancel;
    same($database->state, "57014");
    same($database->selectrow_array("select 1"), 1);
});
check("notify", sub {
    $database->do("listen drivers");
    connect_database()->do("notify drivers, 'received'");
    my $notice;
    for (1 .. 100) {
        last if $notice = $database->pg_notifies;
        select(undef, undef, undef, 0.1);
    }
    same($notice->[2], "received");
});
check("transaction", sub {
    $database->do("create temp table kept (n int)");
    for my $step ([1, "commit"], [2, "rollback"]) {
        my ($n, $end) = @$step;
        $database->begin_work;
        $database->do("insert into kept values (?)", undef, $n);
        $database->$end;
    }
    same(join(" ", @{ $database->selectcol_arrayref("select n from kept") }), "1");
});
# The driver has no pool: those of Perl test a connection with ping.
check("reconnect", sub {
    print "restart\n";
    <STDIN>;
    die "the session survived\n" if $database->ping;
    same(connect_database()->selectrow_array("select 1"), 1);
});
