# ruby-pg, the driver of Rails, with the libpq of the system.
require "pg"

$stdout.sync = true
puts "version\t#{PG::VERSION}, libpq #{PG.library_version / 10_000}.#{PG.library_version % 10_000}"
if ENV["PGSSLNEGOTIATION"] == "direct" && PG.library_version < 170_000
  puts "login\timpossible\tlibpq before 17 always sends SSLRequest"
  exit
end

def check(name)
  yield
  puts "#{name}\tok"
rescue StandardError => error
  puts "#{name}\tfail\t#{error.message.split.join(" ")}"
end

def same(found, expected)
  raise "#{found.inspect[0, 80]} instead of #{expected.inspect[0, 80]}" if found != expected
end

connection = nil
check("login") do
  connection = PG.connect
  same connection.exec("select current_user").getvalue(0, 0), ENV["PGUSER"]
end
check("prepared") do
  connection.prepare("ask", "select $1::int + 1, $2::text")
  100.times do |n|
    same connection.exec_prepared("ask", [n, "żółw\n" * n]).values, [[(n + 1).to_s, "żółw\n" * n]]
  end
end
check("large") do
  rows = connection.exec("select n, repeat(md5(n::text), 32) from generate_series(1, 51200) as n")
  same rows.ntuples, 51_200
  rows.each_row.with_index(1) { |(n, text), number| same [n.to_i, text.size], [number, 1024] }
end
check("copy") do
  connection.exec("create temp table copied (n int, t text)")
  lines = Array.new(10_000) { |n| "#{n}\tżółw #{n}\n" }
  connection.copy_data("copy copied from stdin") { lines.each { |line| connection.put_copy_data(line) } }
  received = +""
  connection.copy_data("copy (select * from copied order by n) to stdout") do
    while (line = connection.get_copy_data)
      received << line.force_encoding("UTF-8")
    end
  end
  same received, lines.join
end
check("error") do
  begin
    connection.exec("select 1 / 0")
    raise "a division by zero succeeded"
  rescue PG::DivisionByZero
    same connection.exec("select 1").values, [["1"]]
  end
end
check("cancel") do
  connection.send_query("select pg_sleep(60)")
  sleep 1
  same connection.cancel, nil
  begin
    connection.get_last_result
    raise "the query was not cancelled"
  rescue PG::QueryCanceled
  end
end
check("notify") do
  connection.exec("listen drivers")
  PG.connect { |other| other.exec("notify drivers, 'received'") }
  payload = nil
  connection.wait_for_notify(20) { |_, _, text| payload = text }
  same payload, "received"
end
check("transaction") do
  connection.exec("create temp table kept (n int)")
  connection.transaction { connection.exec("insert into kept values (1)") }
  begin
    connection.transaction do
      connection.exec("insert into kept values (2)")
      raise ArgumentError
    end
  rescue ArgumentError
    same connection.exec("select n from kept").values, [["1"]]
  end
end
# The driver has no pool, but a connection can be reset.
check("reconnect") do
  puts "restart"
  $stdin.gets
  begin
    connection.exec("select 1")
    raise ArgumentError, "the session survived"
  rescue PG::Error
    connection.reset
    same connection.exec("select 1").values, [["1"]]
  end
end
