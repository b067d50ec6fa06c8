// Load generator: HTTP requests that leave when they are due, whether or not earlier ones have been answered.
//
//	load URL < plan > answers
//
// Each line of the plan is a request, {"due": seconds, "body": …}, in order of time. Each line of the answers, written
// when all have come, is {"due": seconds, "ms": milliseconds since it was due, "status": 200, "body": …}; status 0
// stands for no answer.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"sync"
	"time"
)

type planned struct {
	Due  float64         `json:"due"`
	Body json.RawMessage `json:"body"`
}

type answer struct {
	Due    float64         `json:"due"`
	Ms     float64         `json:"ms"`
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body"`
}

func read(source io.Reader) []planned {
	var plan []planned
	lines := bufio.NewScanner(source)
	lines.Buffer(make([]byte, 1<<20), 1<<24)
	for lines.Scan() {
		var one planned
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			log.Fatal(err)
		}
		plan = append(plan, one)
	}
	return plan
}

func ask(client *http.Client, url string, one planned, start time.Time, into *answer) {
	into.Due, into.Body = one.Due, json.RawMessage("null")
	got, err := client.Post(url, "application/json", bytes.NewReader(one.Body))
	if err == nil {
		var body []byte
		body, err = io.ReadAll(got.Body)
		got.Body.Close()
		if err == nil {
			into.Status = got.StatusCode
			if json.Valid(body) {
				into.Body = body
			}
		}
	}
	due := start.Add(time.Duration(one.Due * float64(time.Second)))
	into.Ms = float64(time.Since(due)) / float64(time.Millisecond)
}

func main() {
	url, plan := os.Args[1], read(os.Stdin)
	// No proxy, and as many connections as there are requests at once, all kept.
	transport := &http.Transport{MaxIdleConnsPerHost: 1 << 16, DisableCompression: true}
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	answers := make([]answer, len(plan))
	var all sync.WaitGroup
	start := time.Now().Add(200 * time.Millisecond)
	for number, one := range plan {
		time.Sleep(time.Until(start.Add(time.Duration(one.Due * float64(time.Second)))))
		all.Add(1)
		go func() {
			defer all.Done()
			ask(client, url, one, start, &answers[number])
		}()
	}
	all.Wait()
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	lines := json.NewEncoder(out)
	for _, one := range answers {
		if err := lines.Encode(one); err != nil {
			log.Fatal(err)
		}
	}
}
