//go:build unix

package servers

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"

	"github.com/seed-175555ba/tus-go/integration/npm"
)

// AzuriteVariable must be set for the column of Azurite, whose packages have 233 MB.
const AzuriteVariable = "TUS_AZURITE"

const azuriteVersion = "3.37.0"

//go:embed azure.cjs
var azuriteScript []byte

// The account and the container of the Azure store. The key is in base64.
const (
	azureAccount   = "tests"
	azureKey       = "a2V5LW9mLXRlc3Rz"
	azureContainer = "uploads"
)

// tusdAzure returns tusd with blobs in Azure storage.
func tusdAzure() Server {
	return Server{
		Name:    "tusd, Azure store",
		Version: on(tusdTool().installed, "Azurite", azuriteVersion),
		Start:   startTusdAzure,
		Setup:   "Nothing.",
		Command: "tusd -azure-storage CONTAINER -azure-endpoint URL",
	}
}

func startTusdAzure(ctx context.Context, dir string) (*Running, error) {
	if os.Getenv(AzuriteVariable) == "" {
		return nil, fmt.Errorf("azurite is %w: $%s is not set", ErrNotInstalled, AzuriteVariable)
	}
	binary, err := tusdTool().install(ctx)
	if err != nil {
		return nil, err
	}
	store, endpoint, err := startAzurite(ctx, dir)
	if err != nil {
		return nil, err
	}
	content := func(ctx context.Context, uploadURL string) (io.ReadCloser, error) {
		u, err := url.Parse(uploadURL)
		if err != nil {
			return nil, err
		}
		return get(ctx, endpoint+"/"+azureContainer+"/"+path.Base(u.Path))
	}
	r, err := launcher(func(addr string) *exec.Cmd {
		cmd := tusd(binary, addr, "-azure-storage", azureContainer, "-azure-endpoint", endpoint, "-azure-container-access-type", "blob")
		cmd.Env = append(os.Environ(), "AZURE_STORAGE_ACCOUNT="+azureAccount, "AZURE_STORAGE_KEY="+azureKey)
		return cmd
	}).start(ctx, "/files/", content, func() { _ = store.Kill() }) // it has ended already
	if err != nil {
		return nil, errors.Join(err, store.Kill())
	}
	return r, nil
}

// startAzurite starts Azurite below dir and returns its endpoint for the account.
func startAzurite(ctx context.Context, dir string) (*Process, string, error) {
	found, err := npm.InstallAll(ctx, "azurite-"+azuriteVersion, "azurite@"+azuriteVersion)
	if errors.Is(err, npm.ErrMissing) {
		return nil, "", fmt.Errorf("azurite is %w: %w", ErrNotInstalled, err)
	}
	if err != nil {
		return nil, "", err
	}
	script := filepath.Join(dir, "azure.cjs")
	if err := os.WriteFile(script, azuriteScript, 0o600); err != nil {
		return nil, "", err
	}
	addr, err := FreeAddr()
	if err != nil {
		return nil, "", err
	}
	host, port := hostPort(addr)
	cmd := found.Command(context.Background(), script, "--blobHost", host, "--blobPort", port, "--location", filepath.Join(dir, "blobs"),
		"--silent", "--disableTelemetry", "--skipApiVersionCheck", "--disableProductStyleUrl")
	cmd.Env = append(cmd.Env, "AZURITE_ACCOUNTS="+azureAccount+":"+azureKey)
	p, err := StartProcess(cmd)
	if err != nil {
		return nil, "", err
	}
	if err := p.WaitReady(ctx, addr); err != nil {
		return nil, "", errors.Join(err, p.Kill())
	}
	return p, "http://" + addr + "/" + azureAccount, nil
}
