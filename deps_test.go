package mediakit

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/mediakit-go/mediakit"

// mayImport holds every edge between our packages that is allowed, and every
// other module a package may use. "*" stands for anything of ours, "/..." for a
// package and those below it. What a package may import its tests may, too;
// testsMayImport is what only they may.
var mayImport = map[string]string{
	"codec":  "github.com/bluenviron/mediacommon/v2",
	"source": "codec internal/cast internal/limitlog",
	"flv":    "codec source internal/amf internal/keysearch internal/livehttp internal/lookahead",
	"rtmp":   "codec source flv internal/amf internal/listen rtmp/internal/handshake rtmp/internal/wire",
	"ts":     "codec source internal/keysearch internal/limitlog internal/livehttp internal/lookahead internal/pes internal/rtp internal/udp",
	"mp4":    "codec source internal/livehttp internal/lookahead",
	"ps":     "codec source ts internal/cast internal/keysearch internal/limitlog internal/listen internal/lookahead internal/pes internal/rtp internal/udp ps/internal/framing",
	"rtsp":   "codec source ts internal/limitlog internal/listen internal/rtp internal/udp rtsp/internal/auth rtsp/internal/tunnel rtsp/internal/wire",
	"hls":    "codec source ts mp4 internal/livehttp internal/limitlog github.com/bluenviron/gohlslib/v2/pkg/playlist",
	"player": "codec source flv ts mp4 ps rtmp rtsp hls internal/cast internal/fileurl internal/livehttp internal/proxy",
	"pusher": "codec source flv ts mp4 ps rtmp rtsp hls internal/fileurl internal/livehttp internal/proxy internal/udp",
	"record": "codec source flv ts mp4 hls",
	"server": "codec source flv internal/livehttp internal/limitlog internal/listen",

	"source/vdk": "codec source internal/lookahead github.com/deepch/vdk",

	"ps/internal/framing": "internal/rtp",

	"rtmp/internal/handshake": "",
	"rtmp/internal/wire":      "internal/amf",

	"rtsp/internal/auth":   "source",
	"rtsp/internal/tunnel": "rtsp/internal/wire",
	"rtsp/internal/wire":   "",

	"internal/amf":           "",
	"internal/cast":          "codec",
	"internal/containertest": "codec source internal/livehttp internal/testmedia github.com/stretchr/testify",
	"internal/conversion":    "*",
	"internal/e2e":           "*",
	"internal/fileurl":       "source",
	"internal/filmtest":      "codec source internal/testmedia github.com/stretchr/testify",
	"internal/hlscheck":      "",
	"internal/keysearch":     "codec source",
	"internal/limitlog":      "",
	"internal/listen":        "internal/limitlog",
	"internal/livehttp":      "source internal/limitlog github.com/coder/websocket",
	"internal/lookahead":     "codec source",
	"internal/memnet":        "",
	"internal/pes":           "codec internal/keysearch internal/lookahead",
	"internal/proxy":         "source",
	"internal/rtp":           "codec",
	"internal/udp":           "golang.org/x/net golang.org/x/sys",
	"internal/rtptest":       "",
	"internal/testmedia":     "codec github.com/bluenviron/mediacommon/v2",

	"bench/...":    "* golang.org/x/sys",
	"examples/...": "*",
}

// testsMayImport is what any package's tests may use besides: our test media,
// test tools, and other people's implementations as witnesses.
const testsMayImport = `codec source internal/hlscheck internal/memnet
	internal/containertest internal/filmtest internal/rtptest internal/testmedia
	github.com/stretchr/testify pgregory.net/rapid go.uber.org/goleak
	github.com/bluenviron/mediacommon/v2 github.com/bluenviron/gortmplib
	github.com/bluenviron/gohlslib/v2 github.com/Eyevinn/mp4ff
	github.com/bluenviron/gortsplib/v5 github.com/pion/rtp github.com/pion/rtcp
	github.com/coder/websocket github.com/deepch/vdk github.com/yapingcat/gomedia`

// forbidden are packages that nobody may import, not even tests: they pull in
// cgo or abandoned forks of whole stacks.
var forbidden = []string{
	"github.com/deepch/vdk/cgo",
	"github.com/deepch/vdk/format/mse",
	"github.com/deepch/vdk/format/nvr",
	"github.com/deepch/vdk/format/webrtc",
	"github.com/deepch/vdk/format/webrtcv3",
}

type goPackage struct {
	Dir, ImportPath, Name              string
	GoFiles, IgnoredGoFiles, CgoFiles  []string
	Imports, TestImports, XTestImports []string
	rel                                string // path below the module's root; "" for the root
}

// packages lists the packages of the module as the go command sees them.
func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=Dir,ImportPath,Name,GoFiles,IgnoredGoFiles,CgoFiles,Imports,TestImports,XTestImports", "./...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	var all []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
		p.rel = strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		all = append(all, p)
	}
	require.NotEmpty(t, all)
	return all
}

// allowed reports whether the import path imp is covered by one of the
// space-separated words: a package of ours, or another module.
func allowed(imp, words string) bool {
	for w := range strings.FieldsSeq(words) {
		switch ours := strings.TrimPrefix(imp, module+"/"); {
		case ours == imp: // another module's
			if imp == w || strings.HasPrefix(imp, w+"/") {
				return true
			}
		case w == "*" || ours == w:
			return true
		}
	}
	return false
}

func isStandard(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return !strings.Contains(first, ".")
}

// TestImports fails on an edge that is not in the table, so that arrows only
// point down and heavy libraries stay where they belong.
func TestImports(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range packages(t) {
		key := p.rel
		for k := range mayImport {
			if tree, ok := strings.CutSuffix(k, "/..."); ok && strings.HasPrefix(p.rel+"/", tree+"/") {
				key = k
			}
		}
		words, ok := mayImport[key]
		if !ok && p.rel != "" {
			t.Errorf("package %s is not in the table of deps_test.go", p.rel)
			continue
		}
		seen[key] = true
		for _, imp := range p.Imports {
			if !isStandard(imp) && !allowed(imp, words) {
				t.Errorf("%s imports %s, which the table of deps_test.go does not allow", p.rel, imp)
			}
		}
		for _, imp := range slices.Concat(p.TestImports, p.XTestImports) {
			if !isStandard(imp) && imp != p.ImportPath && !allowed(imp, words) && !allowed(imp, testsMayImport) {
				t.Errorf("the tests of %s import %s, which the table of deps_test.go does not allow", p.rel, imp)
			}
		}
		for _, imp := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if slices.ContainsFunc(forbidden, func(f string) bool { return imp == f || strings.HasPrefix(imp, f+"/") }) {
				t.Errorf("%s imports %s, which nobody may", p.rel, imp)
			}
		}
		if len(p.CgoFiles) > 0 && p.rel != "capi" {
			t.Errorf("%s uses cgo: %v", p.rel, p.CgoFiles)
		}
	}
	for key := range mayImport {
		if !seen[key] {
			t.Errorf("the table of deps_test.go has %s, which is not there", key)
		}
	}
}

// embeds reports whether d is filled by the compiler, with files.
func embeds(d *ast.GenDecl) bool {
	return d.Doc != nil && slices.ContainsFunc(d.Doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

// TestNoHiddenState fails on init functions and on package-level variables
// that change: two instances in one process must not meet anywhere. Tables,
// errors and other values that are set once, where they are declared, are fine.
func TestNoHiddenState(t *testing.T) {
	for _, p := range packages(t) {
		fset := token.NewFileSet()
		var files []*ast.File
		// Files for other systems are read, too; whether their names clash does
		// not matter here.
		for _, name := range slices.Concat(p.GoFiles, p.CgoFiles, p.IgnoredGoFiles) {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
			require.NoError(t, err)
			files = append(files, f)
		}
		// Imports are not resolved: only names of the package itself matter.
		info := &types.Info{Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}}
		conf := types.Config{Importer: noImporter{}, Error: func(error) {}, FakeImportC: true}
		pkg, _ := conf.Check(p.ImportPath, fset, files, info) // errors are expected

		isState := func(e ast.Expr) (*types.Var, bool) {
			id := root(e)
			if id == nil {
				return nil, false
			}
			v, ok := info.Uses[id].(*types.Var)
			return v, ok && pkg != nil && v.Parent() == pkg.Scope()
		}
		report := func(n ast.Node, v *types.Var) {
			t.Errorf("%s: changes the package-level variable %s", fset.Position(n.Pos()), v.Name())
		}
		for _, f := range files {
			for _, d := range f.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					if d.Recv == nil && d.Name.Name == "init" {
						t.Errorf("%s: init function", fset.Position(d.Pos()))
					}
				case *ast.GenDecl:
					if embeds(d) {
						continue
					}
					for _, s := range d.Specs {
						if vs, ok := s.(*ast.ValueSpec); ok && d.Tok == token.VAR && len(vs.Values) == 0 {
							t.Errorf("%s: package-level variable %s has no value: it is there to change", fset.Position(vs.Pos()), vs.Names[0].Name)
						}
					}
				}
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.AssignStmt:
					for _, e := range n.Lhs {
						if v, ok := isState(e); ok && n.Tok != token.DEFINE {
							report(n, v)
						}
					}
				case *ast.IncDecStmt:
					if v, ok := isState(n.X); ok {
						report(n, v)
					}
				case *ast.UnaryExpr:
					if v, ok := isState(n.X); ok && n.Op == token.AND {
						report(n, v)
					}
				}
				return true
			})
		}
	}
}

// root returns the variable that e is, or is a part of: x for x, x.f, x[i], *x.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// noImporter finds nothing, which keeps the check quick.
type noImporter struct{}

func (noImporter) Import(string) (*types.Package, error) {
	return nil, errors.New("not looked up")
}
