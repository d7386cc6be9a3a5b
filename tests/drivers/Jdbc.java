import java.sql.DriverManager;

/** Connects to a URL of the PostgreSQL JDBC driver and prints the result of a query. */
class Jdbc {
    public static void main(String[] arguments) throws Exception {
        try (var connection = DriverManager.getConnection(arguments[0]);
             var statement = connection.createStatement();
             var result = statement.executeQuery(arguments[1])) {
            result.next();
            System.out.println(result.getString(1));
        }
    }
}
