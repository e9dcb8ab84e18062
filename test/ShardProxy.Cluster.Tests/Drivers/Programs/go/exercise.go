// What lib/pq and pgx do with a server, one line a step. The same program runs directly and through the proxy; the lines must be the same.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
	"github.com/lib/pq"
)

var background = context.Background()

func say(step string, value any) {
	text, err := json.Marshal(value)
	check(err)
	fmt.Printf("%s: %s\n", step, text)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func failure(err error) any {
	var said *pq.Error
	var other *pgconn.PgError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &said):
		return []string{said.Severity, string(said.Code), said.Message, said.Constraint}
	case errors.As(err, &other):
		return []string{other.Severity, other.Code, other.Message, other.ConstraintName}
	}
	return "another error"
}

func libpq() {
	db, err := sql.Open("postgres", "application_name=exercise")
	check(err)
	defer db.Close()
	var text string
	var number int
	var list []int64
	check(db.QueryRow("SELECT $1::text, $2::int, $3::int[]", "ä€", 7, pq.Array([]int64{1, 2})).Scan(&text, &number, pq.Array(&list)))
	say("pq types", []any{text, number, list})
	_, err = db.Exec("DROP TABLE IF EXISTS pq_t; CREATE TABLE pq_t (id serial PRIMARY KEY, v text UNIQUE)")
	check(err)
	insert, err := db.Prepare("INSERT INTO pq_t (v) VALUES ($1)")
	check(err)
	for _, v := range []string{"a", "b", "a"} {
		_, err = insert.Exec(v)
		say("pq insert "+v, failure(err))
	}
	check(insert.Close())
	_, err = db.Exec("SELECT nothing")
	say("pq bad statement", failure(err))

	tx, err := db.Begin()
	check(err)
	in, err := tx.Prepare(pq.CopyIn("pq_t", "v"))
	check(err)
	for i := 0; i < 1000; i++ {
		_, err = in.Exec(fmt.Sprint("c", i))
		check(err)
	}
	_, err = in.Exec()
	check(err)
	check(in.Close())
	check(tx.Commit())
	check(db.QueryRow("SELECT count(*) FROM pq_t").Scan(&number))
	say("pq copied", number)

	short, cancel := context.WithTimeout(background, 50*time.Millisecond)
	defer cancel()
	_, err = db.ExecContext(short, "SELECT pg_sleep(30)")
	say("pq cancelled", err != nil)
	_, err = db.Exec("SELECT pg_terminate_backend(pg_backend_pid())")
	say("pq own end", err != nil)
	check(db.QueryRow("SELECT owner FROM accounts WHERE id = $1", 7).Scan(&text))
	say("pq by key", text)

	listener := pq.NewListener("", time.Second, time.Minute, nil)
	check(listener.Listen("pq_c"))
	_, err = db.Exec("SELECT pg_notify('pq_c', 'payload')")
	check(err)
	said := <-listener.Notify
	say("pq notification", []string{said.Channel, said.Extra})
	check(listener.Close())
}

func withPgx() {
	c, err := pgx.Connect(background, "application_name=exercise")
	check(err)
	var text string
	var number int
	var list []int64
	for _, options := range [][]any{{}, {pgx.QuerySimpleProtocol(true)}, {pgx.QueryResultFormats{pgx.BinaryFormatCode}}} {
		check(c.QueryRow(background, "SELECT $1::int", append(options, 7)...).Scan(&number))
		say("pgx number", number)
	}
	check(c.QueryRow(background, "SELECT $1::text, $2::int, $3::int8[]", "ä€", 7, []int64{1, 2}).Scan(&text, &number, &list))
	say("pgx types", []any{text, number, list})
	check(c.QueryRow(background, "SELECT pg_backend_pid()").Scan(&number))
	say("pgx process", uint32(number) == c.PgConn().PID())
	_, err = c.Exec(background, "DROP TABLE IF EXISTS pgx_t; CREATE TABLE pgx_t (id serial PRIMARY KEY, v text UNIQUE, n int)")
	check(err)

	batch := &pgx.Batch{}
	batch.Queue("INSERT INTO pgx_t (v) VALUES ($1)", "a")
	batch.Queue("SELECT v FROM pgx_t")
	batch.Queue("INSERT INTO pgx_t (v) VALUES ($1)", "a")
	batch.Queue("SELECT count(*) FROM pgx_t")
	answers := c.SendBatch(background, batch)
	_, err = answers.Exec()
	check(err)
	check(answers.QueryRow().Scan(&text))
	_, err = answers.Exec()
	say("pgx batch", []any{text, failure(err), answers.Close() != nil})
	check(c.QueryRow(background, "SELECT count(*) FROM pgx_t").Scan(&number))
	say("pgx undone", number)

	rows := [][]any{}
	for i := 0; i < 1000; i++ {
		rows = append(rows, []any{fmt.Sprint("c", i), i})
	}
	copied, err := c.CopyFrom(background, pgx.Identifier{"pgx_t"}, []string{"v", "n"}, pgx.CopyFromRows(rows))
	check(err)
	say("pgx copied", copied)

	tx, err := c.Begin(background)
	check(err)
	inner, err := tx.Begin(background)
	check(err)
	_, err = inner.Exec(background, "INSERT INTO pgx_t (v) VALUES ('c1')")
	say("pgx duplicate", failure(err))
	check(inner.Rollback(background))
	check(tx.QueryRow(background, "SELECT count(*) FROM pgx_t").Scan(&number))
	check(tx.Commit(background))
	say("pgx kept", number)

	for i := 7; i < 10; i++ {
		check(c.QueryRow(background, "SELECT owner FROM accounts WHERE id = $1", i).Scan(&text))
		say("pgx by key", text)
	}
	tx, err = c.Begin(background)
	check(err)
	for i := 61; i < 64; i++ {
		_, err = tx.Exec(background, "UPDATE accounts SET amount = amount + 1 WHERE id = $1", i)
		check(err)
	}
	check(tx.Commit(background))
	check(c.QueryRow(background, "SELECT count(*)::text FROM accounts WHERE id = 61").Scan(&text))
	say("pgx counted", text)

	victim, err := pgx.Connect(background, "")
	check(err)
	_, err = c.Exec(background, "SELECT pg_terminate_backend($1, 5000)", victim.PgConn().PID())
	check(err)
	_, err = victim.Exec(background, "SELECT 1")
	say("pgx ended", []any{failure(err), victim.IsClosed()})
	_, err = pgx.Connect(background, "dbname=nosuchdatabase")
	say("pgx no database", failure(err))
	_, err = c.Exec(background, "SET statement_timeout = '50ms'")
	check(err)
	_, err = c.Exec(background, "SELECT pg_sleep(30)")
	say("pgx time-out", failure(err))
	check(c.Close(background))
}

func main() {
	libpq()
	withPgx()
}
