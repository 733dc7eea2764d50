// Make a workspace, wait until it is ready, ask its model, and delete it.
//
//	make clients
//	API=http://127.0.0.1:8090 TOKEN=... build/clients/go/story NAME MODEL QUESTION
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"aichat.example/client/aichat"
)

const pollInterval = 500 * time.Millisecond

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: story NAME MODEL QUESTION")
	}
	if err := tell(context.Background(), os.Args[1], os.Args[2], os.Args[3]); err != nil {
		log.Fatal(err)
	}
}

func tell(ctx context.Context, name, model, question string) error {
	api, err := aichat.NewClientWithResponses(os.Getenv("API"), aichat.WithRequestEditorFn(authorize))
	if err != nil {
		return err
	}
	team, err := create(ctx, api, name, model)
	if err != nil {
		return err
	}
	if err := waitReady(ctx, api, name, team); err != nil {
		return err
	}
	if err := ask(ctx, api, name, team, question); err != nil {
		return err
	}
	deleted, err := api.DeleteWorkspaceWithResponse(ctx, name, &aichat.DeleteWorkspaceParams{Team: &team})
	if err != nil {
		return err
	}
	if deleted.JSON202 == nil {
		return refusal(deleted.StatusCode(), deleted.Body)
	}
	fmt.Printf("%s: deleted\n", name)
	return nil
}

func authorize(_ context.Context, request *http.Request) error {
	request.Header.Set("Authorization", "Bearer "+os.Getenv("TOKEN"))
	return nil
}

// create makes the workspace, unless the same request has made it before, and returns its team.
func create(ctx context.Context, api *aichat.ClientWithResponses, name, model string) (string, error) {
	spec := aichat.WorkspaceSpec{WorkspaceName: name, Models: &[]string{model}}
	made, err := api.CreateWorkspaceWithResponse(ctx, nil, aichat.WorkspaceCreate{Spec: spec})
	switch {
	case err != nil:
		return "", err
	case made.JSON201 != nil:
		return made.JSON201.Team, nil
	case made.JSON200 != nil:
		return made.JSON200.Team, nil
	}
	return "", refusal(made.StatusCode(), made.Body)
}

func waitReady(ctx context.Context, api *aichat.ClientWithResponses, name, team string) error {
	for phase := ""; phase != "Ready"; time.Sleep(pollInterval) {
		read, err := api.ReadWorkspaceWithResponse(ctx, name, &aichat.ReadWorkspaceParams{Team: &team})
		if err != nil {
			return err
		}
		if read.JSON200 == nil {
			return refusal(read.StatusCode(), read.Body)
		}
		if now := read.JSON200.Status.Phase; now != nil && *now != phase {
			phase = *now
			fmt.Printf("%s: %s\n", name, phase)
		}
	}
	return nil
}

func ask(ctx context.Context, api *aichat.ClientWithResponses, name, team, question string) error {
	whole := false
	prompt := aichat.Prompt{Prompt: question, Stream: &whole}
	reply, err := api.AskWithResponse(ctx, name, &aichat.AskParams{Team: &team}, prompt)
	if err != nil {
		return err
	}
	if reply.JSON200 == nil {
		return refusal(reply.StatusCode(), reply.Body)
	}
	fmt.Println(reply.JSON200.Reply)
	return nil
}

func refusal(status int, body []byte) error {
	return fmt.Errorf("%d: %s", status, body)
}
