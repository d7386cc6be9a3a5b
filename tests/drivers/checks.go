// What the Go programs share: the checks, and their results on standard output (see run.sh).
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

// verifyLarge checks one row of the large result, the count-th.
func verifyLarge(count, number int, text string) error {
	if number != count || len(text) != 1024 {
		return fmt.Errorf("row %d is %d with %d bytes", count, number, len(text))
	}
	return nil
}
