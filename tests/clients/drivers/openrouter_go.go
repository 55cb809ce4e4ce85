// The Go SDK: the examples of OpenRouter's documentation, with another server and key.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"

	openrouter "github.com/OpenRouterTeam/go-sdk"
	"github.com/OpenRouterTeam/go-sdk/models/components"
	"github.com/OpenRouterTeam/go-sdk/models/operations"
	"github.com/OpenRouterTeam/go-sdk/optionalnullable"
)

func client(key string) *openrouter.OpenRouter {
	return openrouter.New(
		openrouter.WithServerURL(os.Getenv("EMULATOR_URL")+"/api/v1"),
		openrouter.WithSecurity(key),
	)
}

func login(ctx context.Context) string {
	s := client(os.Getenv("EMULATOR_KEY"))
	created, err := s.OAuth.CreateAuthCode(ctx, operations.CreateAuthKeysCodeRequest{
		CallbackURL:         "https://myapp.com/auth/callback",
		CodeChallenge:       openrouter.Pointer("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
		CodeChallengeMethod: operations.CreateAuthKeysCodeCodeChallengeMethodS256.ToPointer(),
		Limit:               openrouter.Pointer[float64](100),
	})
	if err != nil {
		log.Fatal(err)
	}
	res, err := s.OAuth.ExchangeAuthCodeForAPIKey(ctx, operations.ExchangeAuthCodeForAPIKeyRequest{
		Code:                created.Data.ID,
		CodeChallengeMethod: optionalnullable.From(openrouter.Pointer(operations.ExchangeAuthCodeForAPIKeyCodeChallengeMethodS256)),
		CodeVerifier:        openrouter.Pointer("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
	})
	if err != nil {
		log.Fatal(err)
	}
	return res.Key
}

func chat(ctx context.Context, key string) {
	res, err := client(key).Chat.Send(ctx, components.ChatRequest{
		Model: openrouter.Pointer("openai/gpt-4o"),
		Messages: []components.ChatMessages{
			components.CreateChatMessagesUser(components.ChatUserMessage{
				Role:    components.ChatUserMessageRoleUser,
				Content: components.CreateChatUserMessageContentStr("Hello, how are you?"),
			}),
		},
		Temperature: optionalnullable.From(openrouter.Pointer(0.7)),
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	if text := fmt.Sprint(res.ChatResult.Choices); len(res.ChatResult.Choices) != 1 {
		log.Fatal("not one answer: ", text)
	}
}

func errors(ctx context.Context) {
	_, err := client("sk-or-v1-unknown").APIKeys.GetCurrentKeyMetadata(ctx)
	if err == nil || !strings.Contains(err.Error(), "User not found") {
		log.Fatal("an unknown key was not refused: ", err)
	}
}

func main() {
	ctx := context.Background()
	key := login(ctx)
	if !strings.HasPrefix(key, "sk-or-v1-") || key == os.Getenv("EMULATOR_KEY") {
		log.Fatal("no new key")
	}
	chat(ctx, key)
	errors(ctx)
	fmt.Println("documented examples, errors")
}
