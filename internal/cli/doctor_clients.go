package cli

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// A program is an installed client as `popkv doctor` asks it.
type program struct {
	name string
	args []string
	env  []string // NAME=value on top of our own environment; NAME= removes a variable
}

// run starts the program and returns what it printed, or false when it is not
// installed. A program that hangs is given up.
func (p program) run(ctx context.Context) (out string, err error, installed bool) {
	path, err := exec.LookPath(p.name)
	if err != nil {
		return "", nil, false
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, p.args...)
	cmd.Env = overlay(os.Environ(), p.env)
	cmd.WaitDelay = time.Second
	text, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(text)), err, true
}

// overlay returns environ with changes applied; an empty value is a removal.
func overlay(environ, changes []string) []string {
	var result []string
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if !slices.ContainsFunc(changes, func(c string) bool { return strings.HasPrefix(c, name+"=") }) {
			result = append(result, pair)
		}
	}
	for _, change := range changes {
		if !strings.HasSuffix(change, "=") {
			result = append(result, change)
		}
	}
	return result
}

// checkAWSCLI lets the AWS CLI sign a request to a listener of our own: what
// arrives shows whether it knows the service and SigV4A, whatever it is built of.
func (d *doctor) checkAWSCLI(ctx context.Context) checkRow {
	r := checkRow{Check: "AWS CLI"}
	version, err, installed := program{name: "aws", args: []string{"--version"}}.run(ctx)
	if !installed || err != nil {
		r.Status, r.Found = skipped, "not installed"
		return r
	}
	version, _, _ = strings.Cut(version, " ")
	algorithm, said, err := signedBy(ctx)
	switch {
	case err != nil:
		r.Status, r.Found = skipped, err.Error()
	case strings.HasPrefix(algorithm, "AWS4-ECDSA-P256-SHA256"):
		r.Status, r.Found = fine, version+" signs with SigV4A"
	case strings.Contains(said, "nvalid choice"):
		r.Status, r.Found = problem, version+" does not know cloudfront-keyvaluestore"
		r.Mend = "pip install --upgrade 'awscli' 'botocore[crt]'  # or install AWS CLI v2 of 2024 or later"
	case strings.Contains(said, "CRT") || strings.Contains(said, "crt"):
		r.Status, r.Found = problem, version+" cannot sign with SigV4A: awscrt is missing"
		r.Mend = "pip install 'botocore[crt]'"
	default:
		r.Status, r.Found = warning, version+" did not sign: "+lastLine(said)
	}
	return r
}

// signedBy runs the AWS CLI against a listener that refuses everything, and
// returns the algorithm that it signed with and what it printed.
func signedBy(ctx context.Context) (algorithm, said string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	var authorization atomic.Value
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authorization.Store(r.Header.Get("Authorization"))
		w.Header().Set("x-amzn-ErrorType", "AccessDeniedException")
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `{"Message":"popkv doctor"}`)
	})}
	stopped := make(chan struct{})
	go func() { defer close(stopped); server.Serve(listener) }()
	defer func() { server.Close(); <-stopped }()
	said, _, _ = program{
		name: "aws",
		// The user name catches the account label, so that no name is resolved.
		args: []string{"cloudfront-keyvaluestore", "describe-key-value-store",
			"--endpoint-url", "http://kvs@" + listener.Addr().String(),
			"--kvs-arn", "arn:aws:cloudfront::000000000000:key-value-store/00000000-0000-4000-8000-000000000000"},
		env: []string{"AWS_ACCESS_KEY_ID=doctor", "AWS_SECRET_ACCESS_KEY=doctor", "AWS_SESSION_TOKEN=", "AWS_PROFILE=",
			"AWS_REGION=" + signingRegion, "AWS_DEFAULT_REGION=" + signingRegion, "AWS_MAX_ATTEMPTS=1", "AWS_PAGER=", "HTTP_PROXY=", "http_proxy="},
	}.run(ctx)
	algorithm, _ = authorization.Load().(string)
	return algorithm, said, nil
}

const boto3Script = `
import importlib.util as u
if u.find_spec("boto3") is None: print("absent")
else:
    import boto3
    known = "cloudfront-keyvaluestore" in boto3.session.Session().get_available_services()
    print(boto3.__version__, "known" if known else "old", "crt" if u.find_spec("awscrt") else "no-crt")
`

// checkBoto3 asks the Python on the path what it has.
func (d *doctor) checkBoto3(ctx context.Context) checkRow {
	r := checkRow{Check: "boto3"}
	said, err, installed := program{name: "python3", args: []string{"-c", boto3Script}}.run(ctx)
	words := strings.Fields(said)
	switch {
	case !installed || err != nil || len(words) != 3:
		r.Status, r.Found = skipped, "not installed"
	case words[1] == "old":
		r.Status, r.Found = problem, "boto3 "+words[0]+" does not know cloudfront-keyvaluestore"
		r.Mend = "pip install --upgrade 'boto3[crt]'"
	case words[2] == "no-crt":
		r.Status, r.Found = problem, "boto3 "+words[0]+" cannot sign with SigV4A: awscrt is missing"
		r.Mend = "pip install 'boto3[crt]'  # or in code: Config(signature_version='v4'), which popkv accepts"
	default:
		r.Status, r.Found = fine, "boto3 "+words[0]+" signs with SigV4A"
	}
	return r
}

const nodeScript = `
const has = (m) => { try { require.resolve(m, {paths: [process.cwd()]}); return true } catch (e) { return e.code === 'ERR_PACKAGE_PATH_NOT_EXPORTED' } };
console.log(has('@aws-sdk/client-cloudfront-keyvaluestore') ? 'client' : 'absent',
  has('@aws-sdk/signature-v4a') || has('@aws-sdk/signature-v4-crt') ? 'signer' : 'no-signer');
`

// checkJavaScript asks Node what the project in the current folder has.
func (d *doctor) checkJavaScript(ctx context.Context) checkRow {
	r := checkRow{Check: "JavaScript SDK"}
	said, err, installed := program{name: "node", args: []string{"-e", nodeScript}}.run(ctx)
	switch {
	case !installed || err != nil || strings.HasPrefix(said, "absent"):
		r.Status, r.Found = skipped, "no @aws-sdk/client-cloudfront-keyvaluestore in the current folder"
	case strings.HasSuffix(said, "no-signer"):
		r.Status, r.Found = problem, "the client cannot sign with SigV4A: @aws-sdk/signature-v4a is missing"
		r.Mend = "npm install @aws-sdk/signature-v4a  # and in code: import '@aws-sdk/signature-v4a'"
	default:
		r.Status, r.Found = fine, "the client and a SigV4A signer are installed; the code must import the signer"
	}
	return r
}

func lastLine(text string) string {
	return text[strings.LastIndexByte(text, '\n')+1:]
}
