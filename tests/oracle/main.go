// The oracle: answers what Atlas's own library says, so that tests can ask it instead of remembering it.
//
// It reads one JSON request per line from standard input and writes one JSON answer per line. Requests have a
// "command": split, sum, pending or execute. A directory is given as "path", or as "files", pairs of name and content.
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sort"
	"time"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/schema"
)

type request struct {
	Command    string      `json:"command"`
	Text       string      `json:"text"`
	Path       string      `json:"path"`
	Files      [][2]string `json:"files"`
	Revisions  []*revision `json:"revisions"`
	ExecOrder  string      `json:"exec_order"`
	Baseline   string      `json:"baseline"`
	AllowDirty bool        `json:"allow_dirty"`
	NotClean   string      `json:"not_clean"`
	File       string      `json:"file"`
	FailOn     string      `json:"fail_on"`
}

type revision struct {
	Version       string   `json:"version"`
	Description   string   `json:"description"`
	Type          uint     `json:"type"`
	Applied       int      `json:"applied"`
	Total         int      `json:"total"`
	Error         string   `json:"error"`
	ErrorStmt     string   `json:"error_stmt"`
	Hash          string   `json:"hash"`
	PartialHashes []string `json:"partial_hashes"`
}

type statement struct {
	Position int      `json:"position"`
	Text     string   `json:"text"`
	Comments []string `json:"comments"`
	Hash     string   `json:"hash"`
}

type answer struct {
	Error      string      `json:"error"`
	Statements []statement `json:"statements,omitempty"`
	Sum        string      `json:"sum,omitempty"`
	Reason     string      `json:"reason,omitempty"`
	Line       int         `json:"line,omitempty"`
	File       string      `json:"file,omitempty"`
	Pending    []string    `json:"pending,omitempty"`
	Writes     []*revision `json:"writes,omitempty"`
	Executed   []string    `json:"executed,omitempty"`
}

// driver runs nothing: it notes what it was asked to run, and fails where it is told to.
type driver struct {
	migrate.Driver
	notClean, failOn string
	executed         []string
}

func (d *driver) ScanStmts(text string) ([]*migrate.Stmt, error) {
	// The options of Atlas's PostgreSQL driver, sql/postgres/driver.go.
	return (&migrate.Scanner{ScannerOptions: migrate.ScannerOptions{
		MatchBegin:       true,
		MatchBeginAtomic: true,
		MatchDollarQuote: true,
		EscapedStringExt: true,
	}}).Scan(text)
}

func (d *driver) ExecContext(_ context.Context, text string, _ ...any) (sql.Result, error) {
	d.executed = append(d.executed, text)
	if d.failOn != "" && text == d.failOn {
		return nil, errors.New("refused")
	}
	return nil, nil
}

func (d *driver) CheckClean(context.Context, *migrate.TableIdent) error {
	if d.notClean != "" {
		return &migrate.NotCleanError{Reason: d.notClean, State: &schema.Realm{}}
	}
	return nil
}

// history is a revisions table in memory; it notes every write.
type history struct {
	rows   map[string]*migrate.Revision
	writes []*revision
}

func (h *history) Ident() *migrate.TableIdent {
	return &migrate.TableIdent{Name: "atlas_schema_revisions"}
}

func (h *history) ReadRevisions(context.Context) ([]*migrate.Revision, error) {
	rows := make([]*migrate.Revision, 0, len(h.rows))
	for _, row := range h.rows {
		rows = append(rows, row)
	}
	sort.Slice(rows, func(i, j int) bool { return rows[i].Version < rows[j].Version })
	return rows, nil
}

func (h *history) ReadRevision(_ context.Context, version string) (*migrate.Revision, error) {
	if row, ok := h.rows[version]; ok {
		copied := *row
		return &copied, nil
	}
	return nil, migrate.ErrRevisionNotExist
}

func (h *history) WriteRevision(_ context.Context, row *migrate.Revision) error {
	copied := *row
	h.rows[row.Version] = &copied
	h.writes = append(h.writes, &revision{
		Version: row.Version, Description: row.Description, Type: uint(row.Type), Applied: row.Applied, Total: row.Total,
		Error: row.Error, ErrorStmt: row.ErrorStmt, Hash: row.Hash, PartialHashes: append([]string{}, row.PartialHashes...),
	})
	return nil
}

func (h *history) DeleteRevision(_ context.Context, version string) error {
	delete(h.rows, version)
	return nil
}

func directory(r *request) (migrate.Dir, error) {
	if r.Path != "" {
		return migrate.NewLocalDir(r.Path)
	}
	dir := &migrate.MemDir{}
	for _, file := range r.Files {
		if err := dir.WriteFile(file[0], []byte(file[1])); err != nil {
			return nil, err
		}
	}
	return dir, nil
}

func split(r *request) (*answer, error) {
	found, err := (&driver{}).ScanStmts(r.Text)
	if err != nil {
		return nil, err
	}
	a, running := &answer{Statements: []statement{}}, sha256.New()
	for _, each := range found {
		running.Write([]byte(each.Text))
		a.Statements = append(a.Statements, statement{
			Position: each.Pos, Text: each.Text, Comments: append([]string{}, each.Comments...),
			Hash: base64.StdEncoding.EncodeToString(running.Sum(nil)),
		})
	}
	return a, nil
}

func sum(r *request) (*answer, error) {
	dir, err := directory(r)
	if err != nil {
		return nil, err
	}
	computed, err := dir.Checksum()
	if err != nil {
		return nil, err
	}
	text, err := computed.MarshalText()
	if err != nil {
		return nil, err
	}
	a := &answer{Sum: string(text)}
	if err := migrate.Validate(dir); err != nil {
		a.Error = err.Error()
		var difference *migrate.ChecksumError
		if errors.As(err, &difference) {
			a.File, a.Line, a.Reason = difference.File, difference.Line, difference.Reason.String()
		}
	}
	return a, nil
}

func executor(r *request) (*migrate.Executor, migrate.Dir, *driver, *history, error) {
	dir, err := directory(r)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	if _, inMemory := dir.(*migrate.MemDir); inMemory {
		computed, err := dir.Checksum()
		if err != nil {
			return nil, nil, nil, nil, err
		}
		if err := migrate.WriteSumFile(dir, computed); err != nil {
			return nil, nil, nil, nil, err
		}
	}
	rows := &history{rows: map[string]*migrate.Revision{}}
	for _, each := range r.Revisions {
		rows.rows[each.Version] = &migrate.Revision{
			Version: each.Version, Description: each.Description, Type: migrate.RevisionType(each.Type), Applied: each.Applied,
			Total: each.Total, Error: each.Error, ErrorStmt: each.ErrorStmt, Hash: each.Hash, PartialHashes: each.PartialHashes,
		}
	}
	order, known := map[string]migrate.ExecOrder{
		"": migrate.ExecOrderLinear, "linear": migrate.ExecOrderLinear,
		"linear-skip": migrate.ExecOrderLinearSkip, "non-linear": migrate.ExecOrderNonLinear,
	}[r.ExecOrder]
	if !known {
		return nil, nil, nil, nil, fmt.Errorf("unknown exec order %q", r.ExecOrder)
	}
	runs := &driver{notClean: r.NotClean, failOn: r.FailOn}
	options := []migrate.ExecutorOption{
		migrate.WithExecOrder(order), migrate.WithAllowDirty(r.AllowDirty), migrate.WithBaselineVersion(r.Baseline),
	}
	made, err := migrate.NewExecutor(runs, dir, rows, options...)
	return made, dir, runs, rows, err
}

func pending(r *request) (*answer, error) {
	made, _, _, rows, err := executor(r)
	if err != nil {
		return nil, err
	}
	a := &answer{Pending: []string{}}
	files, err := made.Pending(context.Background())
	if err != nil {
		a.Error = err.Error()
	}
	for _, file := range files {
		a.Pending = append(a.Pending, file.Name())
	}
	a.Writes = rows.writes
	return a, nil
}

func execute(r *request) (*answer, error) {
	made, dir, runs, rows, err := executor(r)
	if err != nil {
		return nil, err
	}
	files, err := dir.Files()
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if file.Name() != r.File {
			continue
		}
		a := &answer{}
		if err := made.Execute(context.Background(), file); err != nil {
			a.Error = err.Error()
		}
		a.Executed, a.Writes = runs.executed, rows.writes
		return a, nil
	}
	return nil, fmt.Errorf("no file %q", r.File)
}

// handle answers one request; a panic of Atlas's is an answer too, and so is that it does not come to an end.
func handle(r *request) *answer {
	done := make(chan *answer, 1)
	go func() {
		defer func() {
			if problem := recover(); problem != nil {
				done <- &answer{Error: fmt.Sprintf("panic: %v", problem)}
			}
		}()
		commands := map[string]func(*request) (*answer, error){
			"split": split, "sum": sum, "pending": pending, "execute": execute,
		}
		command, known := commands[r.Command]
		if !known {
			done <- &answer{Error: fmt.Sprintf("unknown command %q", r.Command)}
			return
		}
		a, err := command(r)
		if err != nil {
			a = &answer{Error: err.Error()}
		}
		done <- a
	}()
	select {
	case a := <-done:
		return a
	case <-time.After(20 * time.Second):
		return &answer{Error: "timeout"}
	}
}

func main() {
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var r request
		a := &answer{}
		if err := json.Unmarshal(line, &r); err != nil {
			a.Error = err.Error()
		} else {
			a = handle(&r)
		}
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(a); err != nil {
			return
		}
		if err := out.Flush(); err != nil {
			return
		}
	}
}
