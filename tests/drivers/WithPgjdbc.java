import java.io.StringReader;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.postgresql.PGConnection;

/** pgjdbc, the driver of DBeaver, DataGrip and everything in Java. */
class WithPgjdbc {
    interface Check {
        void run() throws Exception;
    }

    static final Map<String, String> ENVIRONMENT = System.getenv();
    static final String LARGE = "select n, repeat(md5(n::text), 32) from generate_series(1, 51200) as n";
    static Connection connection;

    public static void main(String[] arguments) throws Exception {
        System.out.println("version\t" + org.postgresql.util.DriverInfo.DRIVER_VERSION);
        if ("direct".equals(ENVIRONMENT.get("PGSSLNEGOTIATION"))) {
            System.out.println("login\timpossible\tbefore 42.7.4 it always sends SSLRequest");
            return;
        }
        check("login", WithPgjdbc::login);
        check("prepared", WithPgjdbc::prepared);
        check("large", WithPgjdbc::large);
        check("copy", WithPgjdbc::copy);
        check("error", WithPgjdbc::error);
        check("cancel", WithPgjdbc::cancel);
        check("notify", WithPgjdbc::receive);
        check("transaction", WithPgjdbc::transaction);
        check("reconnect", WithPgjdbc::reconnect);
        System.exit(0);
    }

    static void check(String name, Check check) {
        try {
            check.run();
            System.out.println(name + "\tok");
        } catch (Exception | AssertionError error) {
            System.out.println(name + "\tfail\t" + error.toString().replaceAll("\\s+", " "));
        }
    }

    static void same(Object found, Object expected) {
        if (!expected.equals(found)) {
            throw new AssertionError(found + " instead of " + expected);
        }
    }

    static Connection connect() throws SQLException {
        var properties = new Properties();
        properties.setProperty("user", ENVIRONMENT.get("PGUSER"));
        properties.setProperty("sslmode", ENVIRONMENT.get("PGSSLMODE"));
        for (var setting : Map.of("password", "PGPASSWORD", "sslrootcert", "PGSSLROOTCERT", "sslcert", "PGSSLCERT").entrySet()) {
            var value = ENVIRONMENT.get(setting.getValue());
            if (value != null) {
                properties.setProperty(setting.getKey(), value);
            }
        }
        if (ENVIRONMENT.containsKey("PGSSLKEY_DER")) {
            properties.setProperty("sslkey", ENVIRONMENT.get("PGSSLKEY_DER"));
        }
        var url = "jdbc:postgresql://%s:%s/%s";
        return DriverManager.getConnection(
            url.formatted(ENVIRONMENT.get("PGHOST"), ENVIRONMENT.get("PGPORT"), ENVIRONMENT.get("PGDATABASE")), properties);
    }

    static void execute(Connection connection, String sql) throws SQLException {
        try (var statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    static List<String> query(String sql) throws SQLException {
        var values = new ArrayList<String>();
        try (var statement = connection.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
            while (rows.next()) {
                values.add(rows.getString(1));
            }
        }
        return values;
    }

    static void login() throws Exception {
        connection = connect();
        same(query("select current_user"), List.of(ENVIRONMENT.get("PGUSER")));
    }

    static void prepared() throws Exception {
        try (var statement = connection.prepareStatement("select ? + 1, ?::text")) {
            for (int number = 0; number < 100; number++) {
                statement.setInt(1, number);
                statement.setString(2, "żółw\n".repeat(number));
                try (var rows = statement.executeQuery()) {
                    rows.next();
                    same(rows.getInt(1), number + 1);
                    same(rows.getString(2), "żółw\n".repeat(number));
                }
            }
        }
    }

    static void large() throws Exception {
        int count = 0;
        try (var statement = connection.createStatement(); var rows = statement.executeQuery(LARGE)) {
            while (rows.next()) {
                count++;
                same(rows.getInt(1), count);
                same(rows.getString(2).length(), 1024);
            }
        }
        same(count, 51200);
    }

    static void copy() throws Exception {
        var text = new StringBuilder();
        for (int number = 0; number < 10000; number++) {
            text.append("%d\tżółw %d\n".formatted(number, number));
        }
        execute(connection, "create temp table copied (n int, t text)");
        var copier = connection.unwrap(PGConnection.class).getCopyAPI();
        copier.copyIn("copy copied from stdin", new StringReader(text.toString()));
        var received = new StringWriter();
        copier.copyOut("copy (select * from copied order by n) to stdout", received);
        same(received.toString(), text.toString());
    }

    static void error() throws Exception {
        same(failure("select 1 / 0"), "22012");
        same(query("select 1"), List.of("1"));
    }

    static String failure(String sql) {
        try {
            query(sql);
            return "no error";
        } catch (SQLException error) {
            return error.getSQLState();
        }
    }

    static void cancel() throws Exception {
        var timer = Executors.newSingleThreadScheduledExecutor();
        try (var statement = connection.createStatement()) {
            timer.schedule(() -> { statement.cancel(); return null; }, 1, TimeUnit.SECONDS);
            statement.execute("select pg_sleep(60)");
            throw new AssertionError("the query was not cancelled");
        } catch (SQLException error) {
            same(error.getSQLState(), "57014");
        } finally {
            timer.shutdown();
        }
    }

    static void receive() throws Exception {
        execute(connection, "listen drivers");
        try (var other = connect()) {
            execute(other, "notify drivers, 'received'");
        }
        var notices = connection.unwrap(PGConnection.class).getNotifications(20_000);
        same(notices.length, 1);
        same(notices[0].getParameter(), "received");
    }

    static void transaction() throws Exception {
        execute(connection, "create temp table kept (n int)");
        connection.setAutoCommit(false);
        execute(connection, "insert into kept values (1)");
        connection.commit();
        execute(connection, "insert into kept values (2)");
        connection.rollback();
        connection.setAutoCommit(true);
        same(query("select n from kept"), List.of("1"));
    }

    /** The driver has no pool: pools test a connection with isValid. */
    static void reconnect() throws Exception {
        System.out.println("restart");
        System.in.read();
        same(connection.isValid(10), false);
        connection = connect();
        same(connection.isValid(10), true);
    }
}
