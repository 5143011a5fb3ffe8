package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/alecthomas/kong"
)

// config is the configuration file: flags by name, at the top level and per remote.
type config struct {
	path    string
	text    string
	top     map[string]any
	remotes map[string]map[string]any
}

// credentialKeys are the keys that are not passed to kong, because they belong to the
// endpoint of their table.
func credentialKeys() []string {
	return []string{"endpoint", "header", "trusted-origin", "token", "token-file"}
}

// defaultConfig returns the path of the configuration file in the user's directory.
func defaultConfig() (string, error) {
	dir := os.Getenv("XDG_CONFIG_HOME")
	if dir == "" {
		var err error
		if dir, err = os.UserConfigDir(); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, "tusup", "config.toml"), nil
}

// loadConfig reads a configuration file. With an empty path it reads the default one, if
// that exists.
func loadConfig(path string) (*config, error) {
	explicit := path != ""
	if !explicit {
		var err error
		if path, err = defaultConfig(); err != nil { // no home directory: no file
			return &config{}, nil
		}
	}
	text, err := os.ReadFile(path)
	if err != nil && !explicit && errors.Is(err, fs.ErrNotExist) {
		return &config{path: path}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("configuration file: %w", err)
	}
	c := &config{path: path, text: string(text), remotes: map[string]map[string]any{}}
	if _, err := toml.Decode(c.text, &c.top); err != nil {
		var syntax toml.ParseError
		if errors.As(err, &syntax) { // its text may repeat a value, which may be secret
			return nil, fmt.Errorf("%s:%d: invalid TOML", path, syntax.Position.Line)
		}
		return nil, fmt.Errorf("%s: invalid TOML", path)
	}
	remotes, ok := c.top["remotes"].(map[string]any)
	if !ok && c.top["remotes"] != nil {
		return nil, c.errorf("", "remotes", "must be tables [remotes.NAME]")
	}
	delete(c.top, "remotes")
	for name, table := range remotes {
		if c.remotes[name], ok = table.(map[string]any); !ok || !remoteName.MatchString(name) {
			return nil, c.errorf("", name, "must be a table [remotes.NAME], with a name of letters, digits, - and _")
		}
	}
	return c, nil
}

// remoteName matches the names that can follow an @.
var remoteName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)

// errorf returns an error about a key of a table; table is "" at the top level.
func (c *config) errorf(table, key, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s: %s", c.path, c.line(table, key), key, fmt.Sprintf(format, args...))
}

// line returns the number of the line with a key, 1 if it is not found. The decoder does
// not keep it.
func (c *config) line(table, key string) int {
	quoted := regexp.QuoteMeta(key)
	assignment := regexp.MustCompile(`^\s*(?:[\w."'-]+\.)?["']?` + quoted + `["']?\s*=|[{,]\s*["']?` + quoted + `["']?\s*=|^\s*\[.*\b` + quoted + `["']?\s*\]`)
	header := regexp.MustCompile(`^\s*\[+([^\]]*)\]`)
	current, fallback := "", 1
	for i, line := range strings.Split(c.text, "\n") {
		if m := header.FindStringSubmatch(line); m != nil {
			current = strings.NewReplacer(`"`, "", "'", "", " ", "").Replace(m[1])
		}
		if !assignment.MatchString(line) {
			continue
		}
		if table == "" && current == "" || table != "" && current == "remotes."+table {
			return i + 1
		}
		if fallback == 1 {
			fallback = i + 1
		}
	}
	return fallback
}

// tables calls yield with the top level, whose name is "", and each remote.
func (c *config) tables(yield func(name string, table map[string]any) bool) {
	if !yield("", c.top) {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(c.remotes)) {
		if !yield(name, c.remotes[name]) {
			return
		}
	}
}

// check returns an error for an unknown key, and for credentials without the endpoint that
// they are for.
func (c *config) check(app *kong.Application) error {
	known := map[string]bool{}
	for _, key := range credentialKeys() {
		known[key] = true
	}
	for _, f := range allFlags(app.Node) {
		known[f.Name] = known[f.Name] || len(f.Envs) > 0
	}
	for _, name := range []string{"config", "remote"} { // they select the file and the table
		delete(known, name)
	}
	for name, table := range c.tables {
		for _, key := range slices.Sorted(maps.Keys(table)) {
			if !known[key] {
				return c.errorf(name, key, "unknown key")
			}
			if table["endpoint"] == nil && slices.Contains(credentialKeys(), key) {
				return c.errorf(name, key, "requires endpoint in the same table: credentials are sent to its origin only")
			}
		}
		if name != "" && table["endpoint"] == nil {
			return c.errorf("", name, "a remote requires endpoint")
		}
		if table["token"] != nil && table["token-file"] != nil {
			return c.errorf(name, "token", "cannot be used with token-file")
		}
		if _, err := c.login(name, table); err != nil {
			return err
		}
	}
	return nil
}

// login returns the credentials of a table. It does not read the token file.
func (c *config) login(name string, table map[string]any) (login, error) {
	l := login{}
	texts := map[string][]string{}
	for _, key := range credentialKeys() {
		values, err := stringsOf(table[key])
		if err == nil && table[key] != nil && len(values) != 1 && key != "header" && key != "trusted-origin" {
			err = errors.New("must be one value")
		}
		if err != nil {
			return l, c.errorf(name, key, "%v", err)
		}
		texts[key] = values
		if len(values) > 0 && key != "endpoint" && key != "trusted-origin" {
			l.names = append(l.names, key+" of "+c.path)
		}
	}
	var err error
	if l.header, err = parseHeader("header", texts["header"]); err != nil {
		return l, c.errorf(name, "header", "must be of the form 'Name: value'")
	}
	if endpoint := texts["endpoint"]; len(endpoint) > 0 {
		l.endpoint = endpoint[0]
		if originOf(l.endpoint) == "" {
			return l, c.errorf(name, "endpoint", "must be an http or https URL")
		}
	}
	l.trusted = texts["trusted-origin"]
	if token := texts["token"]; len(token) > 0 {
		l.header.Set("Authorization", "Bearer "+token[0])
	}
	return l, nil
}

// loadedLogin returns the credentials of a table with those of its token file.
func (c *config) loadedLogin(name string, table map[string]any) (login, error) {
	l, err := c.login(name, table)
	if file, ok := table["token-file"].(string); ok && err == nil {
		l.err = l.readToken("token-file", c.resolved(file))
	}
	return l, err
}

// resolved returns the path of a file in the configuration file, which is relative to its
// directory, or to the home directory with ~/.
func (c *config) resolved(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(c.path), path)
}

// stringsOf returns a TOML value as the texts of a flag.
func stringsOf(value any) ([]string, error) {
	switch v := value.(type) {
	case nil:
		return nil, nil
	case string:
		return []string{v}, nil
	case bool:
		return []string{strconv.FormatBool(v)}, nil
	case int64:
		return []string{strconv.FormatInt(v, 10)}, nil
	case float64:
		return []string{strconv.FormatFloat(v, 'g', -1, 64)}, nil
	case []any:
		var all []string
		for _, element := range v {
			texts, err := stringsOf(element)
			if _, nested := element.([]any); err != nil || nested {
				return nil, errors.New("must be a list of texts")
			}
			all = append(all, texts...)
		}
		return all, nil
	}
	return nil, errors.New("must be a text, a number, a boolean or a list of texts")
}

// readableByOthers reports whether the file has credentials and other users can read it.
func (c *config) readableByOthers() bool {
	info, err := os.Stat(c.path)
	if err != nil || runtime.GOOS == "windows" || info.Mode().Perm()&0o077 == 0 {
		return false
	}
	for _, table := range c.tables {
		if table["token"] != nil || table["header"] != nil || hasUser(table["endpoint"]) || hasUser(table["proxy"]) || hasLogin(table["state"]) {
			return true
		}
	}
	return false
}

// hasUser reports whether a URL has a user, and so perhaps a password.
func hasUser(value any) bool {
	text, _ := value.(string)
	u, err := url.Parse(text)
	return err == nil && u.User != nil
}

// hasLogin reports whether a value of --state is a URL with a user. It may have several hosts,
// which package url does not parse.
func hasLogin(value any) bool {
	text, _ := value.(string)
	return isStateURL(text) && strings.Contains(text, "@")
}

// allFlags returns the flags of a command and of the commands below it.
func allFlags(node *kong.Node) []*kong.Flag {
	flags := slices.Clone(node.Flags)
	for _, child := range node.Children {
		flags = append(flags, allFlags(child)...)
	}
	return flags
}
