// pgx 4, through its pool.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

var background = context.Background()
var session *pgx.Conn

func main() {
	fmt.Printf("version\t%s\n", os.Args[1])
	if direct {
		fmt.Println("login\timpossible\tbefore 5.7 it always sends SSLRequest")
		return
	}
	report("login", login())
	report("prepared", prepared())
	report("large", largeResult())
	report("copy", copyBoth())
	report("error", failure())
	report("cancel", cancel())
	report("notify", notify())
	report("transaction", transaction())
	report("reconnect", reconnect())
}

func login() (err error) {
	// Without settings of its own the driver uses libpq's variables.
	if session, err = pgx.Connect(background, ""); err != nil {
		return err
	}
	return value("select current_user::text", os.Getenv("PGUSER"))
}

func value(query, expected string) error {
	var found string
	if err := session.QueryRow(background, query).Scan(&found); err != nil {
		return err
	}
	return same(found, expected)
}

func execute(query string, values ...interface{}) error {
	_, err := session.Exec(background, query, values...)
	return err
}

func prepared() error {
	if _, err := session.Prepare(background, "ask", "select $1::int + 1, $2::text, $3::bytea"); err != nil {
		return err
	}
	return runPrepared(func(n int) row { return session.QueryRow(background, "ask", n, text(n), []byte{0, 255}) })
}

func largeResult() error {
	rows, err := session.Query(background, large)
	if err != nil {
		return err
	}
	defer rows.Close()
	return readLarge(rows)
}

func copyBoth() error {
	if err := execute("create temp table copied (n int, t text)"); err != nil {
		return err
	}
	var rows strings.Builder
	for n := 0; n < 10000; n++ {
		fmt.Fprintf(&rows, "%d\tżółw %d\n", n, n)
	}
	var received bytes.Buffer
	if _, err := session.PgConn().CopyFrom(background, strings.NewReader(rows.String()), "copy copied from stdin"); err != nil {
		return err
	}
	if _, err := session.PgConn().CopyTo(background, &received, "copy (select * from copied order by n) to stdout"); err != nil {
		return err
	}
	return same(received.String() == rows.String(), true)
}

func failure() error {
	var refused *pgconn.PgError
	if err := execute("select 1 / $1::int", 0); !errors.As(err, &refused) || refused.Code != "22012" {
		return fmt.Errorf("another error: %v", err)
	}
	return value("select '1'", "1")
}

func cancel() error {
	go func() {
		time.Sleep(time.Second)
		_ = session.PgConn().CancelRequest(background)
	}()
	var refused *pgconn.PgError
	if err := execute("select pg_sleep(60)"); !errors.As(err, &refused) || refused.Code != "57014" {
		return fmt.Errorf("the query was not cancelled: %v", err)
	}
	return nil
}

func notify() error {
	if err := execute("listen drivers"); err != nil {
		return err
	}
	other, err := pgx.Connect(background, "")
	if err != nil {
		return err
	}
	defer other.Close(background)
	if _, err := other.Exec(background, "notify drivers, 'received'"); err != nil {
		return err
	}
	limited, end := context.WithTimeout(background, 20*time.Second)
	defer end()
	notice, err := session.WaitForNotification(limited)
	if err != nil {
		return err
	}
	return same(notice.Payload, "received")
}

func transaction() error {
	if err := execute("create temp table kept (n int)"); err != nil {
		return err
	}
	for n, end := range []func(pgx.Tx, context.Context) error{pgx.Tx.Rollback, pgx.Tx.Commit} {
		transaction, err := session.Begin(background)
		if err != nil {
			return err
		}
		if _, err := transaction.Exec(background, "insert into kept values ($1)", n); err != nil {
			return err
		}
		if err := end(transaction, background); err != nil {
			return err
		}
	}
	return value("select string_agg(n::text, ' ') from kept", "1")
}

func reconnect() error {
	pool, err := pgxpool.Connect(background, "")
	if err != nil {
		return err
	}
	defer pool.Close()
	restart()
	// The pool drops a connection whose session has ended when a query fails on it.
	if err := pool.Ping(background); err != nil {
		err = pool.Ping(background)
	}
	for n := 0; n < 10 && err == nil; n++ {
		err = pool.Ping(background)
	}
	return err
}
