package main

import (
	"strings"

	"github.com/FerretDB/wire"
	"github.com/FerretDB/wire/wirebson"
)

const codeDuplicateKey = int32(11000)

// update is an `update` command. FerretDB ends it at the first statement that fails, also when it is
// not ordered, and counts statements wrongly in what it answers: so it gets one statement at a time.
type update struct {
	command    *wirebson.Document // Without the statements.
	statements []wirebson.RawDocument
	ordered    bool
}

// parseUpdate returns nil for another command.
func parseUpdate(message *wire.OpMsg) (*update, error) {
	command, err := message.RawSection0().Decode()
	if err != nil {
		return nil, err
	}
	if command.Command() != "update" {
		return nil, nil
	}
	parsed := update{command: command, ordered: true}
	if ordered, ok := command.Get("ordered").(bool); ok {
		parsed.ordered = ordered
	}
	if list, ok := command.Get("updates").(wirebson.RawArray); ok {
		array, err := list.Decode()
		if err != nil {
			return nil, err
		}
		for i := range array.Len() {
			if statement, ok := array.Get(i).(wirebson.RawDocument); ok {
				parsed.statements = append(parsed.statements, statement)
			}
		}
		command.Remove("updates")
	}
	for _, section := range message.Sections() {
		if section.Kind == 1 && section.Identifier == "updates" {
			parsed.statements = append(parsed.statements, section.Documents()...)
		}
	}
	return &parsed, nil
}

func (u *update) answer(backend peer) (*wire.OpMsg, error) {
	var matched, modified int32
	upserted, failed := wirebson.MakeArray(0), wirebson.MakeArray(0)
	for i, statement := range u.statements {
		reply, err := u.ask(backend, statement)
		if err != nil {
			return nil, err
		}
		if failure := failureOf(reply); failure != nil {
			if err := failed.Add(atIndex(i, failure)); err != nil {
				return nil, err
			}
			if u.ordered {
				break
			}
			continue
		}
		if ok, _ := reply.Get("ok").(float64); ok != 1 {
			return wire.NewOpMsg(reply)
		}
		matched += number(reply, "n")
		modified += number(reply, "nModified")
		if list, ok := reply.Get("upserted").(*wirebson.Array); ok && list.Len() == 1 {
			if err := upserted.Add(atIndex(i, list.Get(0).(*wirebson.Document))); err != nil {
				return nil, err
			}
		}
	}
	return answerOf(matched, modified, upserted, failed)
}

func (u *update) ask(backend peer, statement wirebson.RawDocument) (*wirebson.Document, error) {
	command := wirebson.MakeDocument(u.command.Len() + 1)
	for i := range u.command.Len() {
		if err := command.Add(u.command.GetByIndex(i)); err != nil {
			return nil, err
		}
	}
	if err := command.Add("updates", wirebson.MustArray(statement)); err != nil {
		return nil, err
	}
	message, err := wire.NewOpMsg(command)
	if err != nil {
		return nil, err
	}
	answer, err := backend.ask(message)
	if err != nil {
		return nil, err
	}
	return answer.RawSection0().DecodeDeep()
}

// failureOf returns the statement's error, if it is one of data and not of the command.
func failureOf(reply *wirebson.Document) *wirebson.Document {
	if list, ok := reply.Get("writeErrors").(*wirebson.Array); ok && list.Len() > 0 {
		failure, _ := list.Get(0).(*wirebson.Document)
		return failure
	}
	// An update that breaks a unique index is an internal error to FerretDB.
	message, _ := reply.Get("errmsg").(string)
	if strings.Contains(message, "UNIQUE constraint failed") {
		return wirebson.MustDocument("code", codeDuplicateKey, "errmsg", "E11000 duplicate key error: "+message)
	}
	return nil
}

// atIndex says which statement a part of an answer is about.
func atIndex(index int, part *wirebson.Document) *wirebson.Document {
	indexed := wirebson.MustDocument("index", int32(index))
	for i := range part.Len() {
		if name, value := part.GetByIndex(i); name != "index" {
			// A name that is not there yet is always taken.
			_ = indexed.Add(name, value)
		}
	}
	return indexed
}

func number(reply *wirebson.Document, name string) int32 {
	value, _ := reply.Get(name).(int32)
	return value
}

func answerOf(matched, modified int32, upserted, failed *wirebson.Array) (*wire.OpMsg, error) {
	pairs := []any{"n", matched}
	if upserted.Len() > 0 {
		pairs = append(pairs, "upserted", upserted)
	}
	pairs = append(pairs, "nModified", modified)
	if failed.Len() > 0 {
		pairs = append(pairs, "writeErrors", failed)
	}
	answer, err := wirebson.NewDocument(append(pairs, "ok", float64(1))...)
	if err != nil {
		return nil, err
	}
	return wire.NewOpMsg(answer)
}
