package tustest_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// A server of the IETF draft loses the response to a creation. A client resumes at the
// upload URL of a 104.
func ExampleOptions_interop() {
	handler := tustest.NewHandler(&tustest.Options{Interop: []int{9}})
	server := httptest.NewServer(handler)
	defer server.Close()
	handler.Inject(tustest.Fault{Method: "POST", Action: tustest.CutAfter(5)})

	request := func(method, path, body string, fields ...string) {
		req, err := http.NewRequest(method, server.URL+path, strings.NewReader(body))
		if err != nil {
			log.Fatal(err)
		}
		req.Header.Set("Upload-Draft-Interop-Version", "9")
		for i := 0; i+1 < len(fields); i += 2 {
			req.Header.Set(fields[i], fields[i+1])
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			fmt.Println(method, "no response")
			return
		}
		defer resp.Body.Close()
		fmt.Println(method, resp.StatusCode, "offset", resp.Header.Get("Upload-Offset"), "complete", resp.Header.Get("Upload-Complete"))
	}
	request("POST", "/files/", "hello, world", "Upload-Complete", "?1")
	request("HEAD", "/files/00000001", "")
	request("PATCH", "/files/00000001", ", world", "Upload-Offset", "5", "Upload-Complete", "?1", "Content-Type", "application/partial-upload")
	upload, _ := handler.Upload("00000001")
	fmt.Printf("%s %v\n", upload.Data, upload.Complete())
	// Output:
	// POST no response
	// HEAD 204 offset 5 complete ?0
	// PATCH 200 offset  complete ?1
	// hello, world true
}
