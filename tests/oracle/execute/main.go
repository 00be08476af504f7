// Applies a migration directory to a real database with Atlas's own executor, as the Atlas CLI does it, so that tests can
// show that either tool continues the other's work.
//
// Usage: execute URL DIRECTORY [COUNT]. Writes what went wrong to standard error, as Atlas says it, and ends with 1.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"

	"ariga.io/atlas/sql/migrate"
	_ "github.com/lib/pq"
)

const (
	table   = `"atlas_schema_revisions"."atlas_schema_revisions"`
	columns = `"version", "description", "type", "applied", "total", "executed_at", "execution_time", "error", ` +
		`"error_stmt", "hash", "partial_hashes", "operator_version"`
	// As the Atlas CLI makes it, cmd/atlas/internal/migrate/ent/schema/revision.go.
	create = `CREATE SCHEMA IF NOT EXISTS "atlas_schema_revisions";
CREATE TABLE IF NOT EXISTS ` + table + ` ("version" character varying NOT NULL, "description" character varying NOT NULL,
"type" bigint NOT NULL DEFAULT 2, "applied" bigint NOT NULL DEFAULT 0, "total" bigint NOT NULL DEFAULT 0,
"executed_at" timestamptz NOT NULL, "execution_time" bigint NOT NULL, "error" text NULL, "error_stmt" text NULL,
"hash" character varying NOT NULL, "partial_hashes" jsonb NULL, "operator_version" character varying NOT NULL,
PRIMARY KEY ("version"))`
	lock = "SELECT pg_try_advisory_lock(2686470616)"
)

// session is one connection, or a transaction on it.
type session interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

// driver splits as Atlas's PostgreSQL driver does, and runs statements on a session.
type driver struct {
	migrate.Driver
	on session
}

func (d *driver) ScanStmts(text string) ([]*migrate.Stmt, error) {
	return (&migrate.Scanner{ScannerOptions: migrate.ScannerOptions{
		MatchBegin: true, MatchBeginAtomic: true, MatchDollarQuote: true, EscapedStringExt: true,
	}}).Scan(text)
}

func (d *driver) ExecContext(ctx context.Context, text string, values ...any) (sql.Result, error) {
	return d.on.ExecContext(ctx, text, values...)
}

func (d *driver) CheckClean(context.Context, *migrate.TableIdent) error { return nil }

// history is the revisions table, read and written as the Atlas CLI does.
type history struct{ session }

func (h *history) Ident() *migrate.TableIdent {
	return &migrate.TableIdent{Name: "atlas_schema_revisions", Schema: "atlas_schema_revisions"}
}

func (h *history) ReadRevisions(ctx context.Context) ([]*migrate.Revision, error) {
	return h.read(ctx, "SELECT "+columns+" FROM "+table+` WHERE "version" <> '.atlas_cloud_identifier' ORDER BY "version"`)
}

func (h *history) ReadRevision(ctx context.Context, version string) (*migrate.Revision, error) {
	rows, err := h.read(ctx, "SELECT "+columns+" FROM "+table+` WHERE "version" = $1`, version)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, migrate.ErrRevisionNotExist
	}
	return rows[0], nil
}

func (h *history) read(ctx context.Context, query string, values ...any) ([]*migrate.Revision, error) {
	found, err := h.QueryContext(ctx, query, values...)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var rows []*migrate.Revision
	for found.Next() {
		var row migrate.Revision
		var problem, statement sql.NullString
		var hashes []byte
		err := found.Scan(&row.Version, &row.Description, &row.Type, &row.Applied, &row.Total, &row.ExecutedAt,
			&row.ExecutionTime, &problem, &statement, &row.Hash, &hashes, &row.OperatorVersion)
		if err != nil {
			return nil, err
		}
		row.Error, row.ErrorStmt = problem.String, statement.String
		if hashes != nil {
			if err := json.Unmarshal(hashes, &row.PartialHashes); err != nil {
				return nil, err
			}
		}
		rows = append(rows, &row)
	}
	return rows, found.Err()
}

func (h *history) WriteRevision(ctx context.Context, row *migrate.Revision) error {
	hashes, err := json.Marshal(row.PartialHashes)
	if err != nil {
		return err
	}
	_, err = h.ExecContext(ctx, "INSERT INTO "+table+" ("+columns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) "+
		`ON CONFLICT ("version") DO UPDATE SET "type" = EXCLUDED."type", "applied" = EXCLUDED."applied", `+
		`"total" = EXCLUDED."total", "execution_time" = EXCLUDED."execution_time", "error" = EXCLUDED."error", `+
		`"error_stmt" = EXCLUDED."error_stmt", "hash" = EXCLUDED."hash", "partial_hashes" = EXCLUDED."partial_hashes", `+
		`"operator_version" = EXCLUDED."operator_version"`,
		row.Version, row.Description, int(row.Type), row.Applied, row.Total, row.ExecutedAt, int64(row.ExecutionTime),
		row.Error, row.ErrorStmt, row.Hash, string(hashes), row.OperatorVersion)
	return err
}

func (h *history) DeleteRevision(ctx context.Context, version string) error {
	_, err := h.ExecContext(ctx, "DELETE FROM "+table+` WHERE "version" = $1`, version)
	return err
}

func executor(s session, dir migrate.Dir) (*migrate.Executor, error) {
	return migrate.NewExecutor(&driver{on: s}, dir, &history{s}, migrate.WithOperatorVersion("Atlas CLI v1.2.3"))
}

// one runs a file in a transaction, unless its directive says otherwise.
func one(ctx context.Context, connection *sql.Conn, dir migrate.Dir, file migrate.File) error {
	if local, ok := file.(*migrate.LocalFile); ok {
		for _, mode := range local.Directive("txmode") {
			if mode == "none" {
				made, err := executor(connection, dir)
				if err != nil {
					return err
				}
				return made.Execute(ctx, file)
			}
		}
	}
	transaction, err := connection.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	made, err := executor(transaction, dir)
	if err != nil {
		return err
	}
	if err := made.Execute(ctx, file); err != nil {
		return errors.Join(err, transaction.Rollback())
	}
	return transaction.Commit()
}

func run(url, path string, count int) error {
	ctx := context.Background()
	dir, err := migrate.NewLocalDir(path)
	if err != nil {
		return err
	}
	database, err := sql.Open("postgres", url)
	if err != nil {
		return err
	}
	defer database.Close()
	connection, err := database.Conn(ctx)
	if err != nil {
		return err
	}
	var held bool
	if err := connection.QueryRowContext(ctx, lock).Scan(&held); err != nil {
		return err
	}
	if !held {
		return errors.New("acquiring database lock: sql/schema: lock is held by other session")
	}
	if _, err := connection.ExecContext(ctx, create); err != nil {
		return err
	}
	looks, err := executor(connection, dir)
	if err != nil {
		return err
	}
	files, err := looks.Pending(ctx)
	if errors.Is(err, migrate.ErrNoPendingFiles) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, file := range files[:min(count, len(files))] {
		if err := one(ctx, connection, dir, file); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	count := 1 << 30
	if len(os.Args) > 3 {
		var err error
		if count, err = strconv.Atoi(os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	if err := run(os.Args[1], os.Args[2], count); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
