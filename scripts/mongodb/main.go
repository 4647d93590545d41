// A MongoDB for development and tests: FerretDB on SQLite, behind a front that makes up for what the
// workers rely on and it does not do. Usage: <program> <host:port>; the data is in the working folder.
//
// MongoDB changes one document at a time; FerretDB reads, computes and writes, and two clients at
// once lose each other's changes. So the front lets one command in at a time. The update command is in
// update.go.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
	"github.com/FerretDB/wire"
)

// Short, because the name of a socket is limited, and relative to the data.
const backendSocket = "ferretdb.sock"

// What is written survives the end of this process, not that of the machine: no fsync per write.
const dataURL = "file:./?_pragma=synchronous(off)"

func main() {
	if err := run(os.Args[1]); err != nil {
		slog.Error("ending", "error", err)
		os.Exit(1)
	}
}

func run(address string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	// Refusals of the backend are the client's matter.
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))

	// The front's port first: two programs must not open the same data.
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	// Left by a killed one.
	if err := os.Remove(backendSocket); err != nil && !os.IsNotExist(err) {
		return err
	}
	backend, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{Unix: backendSocket},
		Logger:    logger,
		Handler:   "sqlite",
		SQLiteURL: dataURL,
	})
	if err != nil {
		return err
	}
	go acceptAll(listener)
	fmt.Println("Waiting for connections on", address)
	return backend.Run(ctx)
}

func acceptAll(listener net.Listener) {
	var turn sync.Mutex
	for {
		client, err := listener.Accept()
		if err != nil {
			slog.Error("accepting", "error", err)
			os.Exit(1)
		}
		go func() {
			defer client.Close()
			backend, err := net.Dial("unix", backendSocket)
			if err != nil {
				slog.Error("connecting to FerretDB", "error", err)
				return
			}
			defer backend.Close()
			// Ends with the connection of either side.
			_ = serve(newPeer(client), newPeer(backend), &turn)
		}()
	}
}

// serve answers one client until it leaves.
func serve(client, backend peer, turn *sync.Mutex) error {
	for {
		header, body, err := wire.ReadMessage(client.reader)
		if err != nil {
			return err
		}
		turn.Lock()
		answer, err := answer(backend, header, body)
		turn.Unlock()
		if err != nil {
			return err
		}
		if request, ok := body.(*wire.OpMsg); ok && request.Flags.FlagSet(wire.OpMsgMoreToCome) {
			continue // The client does not wait for it.
		}
		if err := client.write(header.RequestID, answer); err != nil {
			return err
		}
	}
}

func answer(backend peer, header *wire.MsgHeader, body wire.MsgBody) (wire.MsgBody, error) {
	if message, ok := body.(*wire.OpMsg); ok {
		update, err := parseUpdate(message)
		if err != nil {
			return nil, err
		}
		if update != nil {
			return update.answer(backend)
		}
	}
	if err := backend.writeAs(header, body); err != nil {
		return nil, err
	}
	_, answer, err := wire.ReadMessage(backend.reader)
	return answer, err
}

// peer is one side of a connection.
type peer struct {
	reader *bufio.Reader
	writer *bufio.Writer
}

func newPeer(connection net.Conn) peer {
	return peer{bufio.NewReader(connection), bufio.NewWriter(connection)}
}

// ask sends a command in a message of its own.
func (p peer) ask(message *wire.OpMsg) (*wire.OpMsg, error) {
	if err := p.write(0, message); err != nil {
		return nil, err
	}
	_, body, err := wire.ReadMessage(p.reader)
	if err != nil {
		return nil, err
	}
	answer, ok := body.(*wire.OpMsg)
	if !ok {
		return nil, fmt.Errorf("an answer of an unexpected kind: %T", body)
	}
	return answer, nil
}

func (p peer) write(responseTo int32, body wire.MsgBody) error {
	bytes, err := body.MarshalBinary()
	if err != nil {
		return err
	}
	header := wire.MsgHeader{
		MessageLength: int32(wire.MsgHeaderLen + len(bytes)),
		ResponseTo:    responseTo,
		OpCode:        wire.OpCodeMsg,
	}
	if _, ok := body.(*wire.OpReply); ok {
		header.OpCode = wire.OpCodeReply
	}
	return p.writeAs(&header, body)
}

func (p peer) writeAs(header *wire.MsgHeader, body wire.MsgBody) error {
	if err := wire.WriteMessage(p.writer, header, body); err != nil {
		return err
	}
	return p.writer.Flush()
}
