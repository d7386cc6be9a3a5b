// lib/pq, through database/sql.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/lib/pq"
)

var pool *sql.DB
var session *sql.Conn

func main() {
	fmt.Printf("version\t%s\n", os.Args[1])
	if direct {
		fmt.Println("login\timpossible\talways sends SSLRequest")
		return
	}
	report("login", login())
	report("prepared", prepared())
	report("large", largeResult())
	report("copy", copyIn())
	report("error", failure())
	report("cancel", cancel())
	report("notify", notify())
	report("transaction", transaction())
	report("reconnect", reconnect())
}

func login() (err error) {
	// Without settings of its own the driver uses libpq's variables.
	if pool, err = sql.Open("postgres", ""); err != nil {
		return err
	}
	if session, err = pool.Conn(context.Background()); err != nil {
		return err
	}
	return value("select current_user", os.Getenv("PGUSER"))
}

func value(query, expected string) error {
	var found string
	if err := session.QueryRowContext(context.Background(), query).Scan(&found); err != nil {
		return err
	}
	return same(found, expected)
}

func execute(query string, values ...interface{}) error {
	_, err := session.ExecContext(context.Background(), query, values...)
	return err
}

func prepared() error {
	statement, err := session.PrepareContext(context.Background(), "select $1::int + 1, $2::text, $3::bytea")
	if err != nil {
		return err
	}
	defer statement.Close()
	return runPrepared(func(n int) row { return statement.QueryRow(n, text(n), []byte{0, 255}) })
}

func largeResult() error {
	rows, err := session.QueryContext(context.Background(), large)
	if err != nil {
		return err
	}
	defer rows.Close()
	return readLarge(rows)
}

// The driver has COPY in alone.
func copyIn() error {
	if err := execute("create temp table copied (n int, t text)"); err != nil {
		return err
	}
	transaction, err := session.BeginTx(context.Background(), nil)
	if err != nil {
		return err
	}
	statement, err := transaction.Prepare(pq.CopyIn("copied", "n", "t"))
	if err != nil {
		return err
	}
	for n := 0; n < 10000; n++ {
		if _, err := statement.Exec(n, text(n%7)); err != nil {
			return err
		}
	}
	if _, err := statement.Exec(); err != nil {
		return err
	}
	if err := statement.Close(); err != nil {
		return err
	}
	if err := transaction.Commit(); err != nil {
		return err
	}
	return value("select count(*) || ' ' || sum(n) from copied where t = repeat(E'żółw\\n', n % 7)", "10000 49995000")
}

func failure() error {
	var refused *pq.Error
	if err := execute("select 1 / $1::int", 0); !errors.As(err, &refused) || refused.Code != "22012" {
		return fmt.Errorf("another error: %v", err)
	}
	return value("select 1", "1")
}

func cancel() error {
	limited, end := context.WithTimeout(context.Background(), time.Second)
	defer end()
	started := time.Now()
	_, err := pool.ExecContext(limited, "select pg_sleep(60)")
	var refused *pq.Error
	if !errors.As(err, &refused) || refused.Code != "57014" || time.Since(started) > 30*time.Second {
		return fmt.Errorf("the query was not cancelled: %v", err)
	}
	return nil
}

func notify() error {
	listener := pq.NewListener("", time.Second, time.Second, nil)
	defer listener.Close()
	if err := listener.Listen("drivers"); err != nil {
		return err
	}
	if err := execute("notify drivers, 'received'"); err != nil {
		return err
	}
	select {
	case notice := <-listener.Notify:
		return same(notice.Extra, "received")
	case <-time.After(20 * time.Second):
		return errors.New("no notice")
	}
}

func transaction() error {
	if err := execute("create temp table kept (n int)"); err != nil {
		return err
	}
	for n, end := range []func(*sql.Tx) error{(*sql.Tx).Rollback, (*sql.Tx).Commit} {
		transaction, err := session.BeginTx(context.Background(), nil)
		if err != nil {
			return err
		}
		if _, err := transaction.Exec("insert into kept values ($1)", n); err != nil {
			return err
		}
		if err := end(transaction); err != nil {
			return err
		}
	}
	return value("select string_agg(n::text, ' ') from kept", "1")
}

func reconnect() error {
	session.Close()
	restart()
	for n := 0; n < 10; n++ {
		if _, err := pool.Exec("select 1"); err != nil {
			return err
		}
	}
	return nil
}
