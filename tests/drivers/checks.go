// The shared part of the Go programs: the checks, and their results on standard output (see run.sh).
package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

const large = "select n, repeat(md5(n::text), 32) from generate_series(1, 51200) as n"

var direct = os.Getenv("PGSSLNEGOTIATION") == "direct"

func report(name string, err error) {
	if err != nil {
		fmt.Printf("%s\tfail\t%s\n", name, strings.Join(strings.Fields(err.Error()), " "))
	} else {
		fmt.Printf("%s\tok\n", name)
	}
}

// restart has the server restarted, and returns once it listens.
func restart() {
	fmt.Println("restart")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}

func same(found, expected interface{}) error {
	if fmt.Sprint(found) != fmt.Sprint(expected) {
		return fmt.Errorf("%.80v instead of %.80v", found, expected)
	}
	return nil
}

func text(number int) string { return strings.Repeat("żółw\n", number) }

// row is one row of a result, of either driver.
type row interface {
	Scan(...interface{}) error
}

// runPrepared runs the prepared statement a hundred times.
func runPrepared(query func(number int) row) error {
	for n := 0; n < 100; n++ {
		var number int
		var words string
		var bytes []byte
		if err := query(n).Scan(&number, &words, &bytes); err != nil {
			return err
		}
		if err := same([]interface{}{number, words, bytes}, []interface{}{n + 1, text(n), []byte{0, 255}}); err != nil {
			return err
		}
	}
	return nil
}

// readLarge verifies every row of the large result.
func readLarge(rows interface {
	row
	Next() bool
}) error {
	count := 0
	for rows.Next() {
		var number int
		var words string
		if err := rows.Scan(&number, &words); err != nil {
			return err
		}
		count++
		if number != count || len(words) != 1024 {
			return fmt.Errorf("row %d is %d with %d bytes", count, number, len(words))
		}
	}
	return same(count, 51200)
}
