package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/cloudfrontkeyvaluestore"
	endpoints "github.com/aws/smithy-go/endpoints"
	"github.com/spf13/cobra"
)

// CloudFront is global: its requests are signed for this region.
const signingRegion = "us-east-1"

// A target is the service that a command talks to.
type target struct {
	data    *url.URL // nil: AWS
	control *url.URL // nil: AWS
	source  string   // the flag or variable that named it
	profile string
}

// isAWS reports whether the target is the real service.
func (t target) isAWS() bool { return t.data == nil }

// String names the target and why it was chosen.
func (t target) String() string {
	if t.isAWS() {
		if t.profile != "" {
			return "AWS with profile " + t.profile
		}
		return "AWS"
	}
	return t.data.String() + " (" + t.source + ")"
}

// targetFlags are the flags that choose a target.
type targetFlags struct {
	app      *app
	endpoint string
	aws      bool
	profile  string
}

// addTarget defines the flags that choose a target on cmd and its children.
func (a *app) addTarget(cmd *cobra.Command) *targetFlags {
	f := &targetFlags{app: a}
	cmd.PersistentFlags().StringVar(&f.endpoint, "endpoint", "", "URL of a popkv server (or POPKV_ENDPOINT, or AWS_ENDPOINT_URL*)")
	cmd.PersistentFlags().BoolVar(&f.aws, "aws", false, "talk to the real service")
	cmd.PersistentFlags().StringVar(&f.profile, "profile", "", "profile of the AWS configuration to take credentials from")
	return f
}

// resolve chooses the target. There is no default: a command must not write
// to a place that its user did not name.
func (f *targetFlags) resolve(cmd *cobra.Command) (target, error) {
	if f.aws && f.endpoint != "" {
		return target{}, usagef(cmd, "--aws and --endpoint exclude each other")
	}
	profile := f.profile
	if profile == "" {
		profile = f.app.getenv("AWS_PROFILE")
	}
	if f.aws {
		return target{source: "--aws", profile: profile}, nil
	}
	data, control, source := f.endpoints()
	if data == "" {
		return target{}, usagef(cmd, "no target: give --endpoint URL (`popkv dev` listens on http://localhost:8080), "+
			"set POPKV_ENDPOINT or AWS_ENDPOINT_URL, or give --aws for the real service")
	}
	t := target{source: source, profile: profile}
	var err error
	if t.data, err = parseEndpoint(data); err == nil {
		t.control, err = parseEndpoint(control)
	}
	if err != nil {
		return target{}, usagef(cmd, "%s: %v", source, err)
	}
	return t, nil
}

// endpoints returns the endpoints of both planes. When only one plane's
// variable is set it counts for both: the other plane must not go to AWS.
func (f *targetFlags) endpoints() (data, control, source string) {
	if f.endpoint != "" {
		return f.endpoint, f.endpoint, "--endpoint"
	}
	if e := f.app.getenv("POPKV_ENDPOINT"); e != "" {
		return e, e, "POPKV_ENDPOINT"
	}
	const all, kvs, cf = "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_CLOUDFRONT_KEYVALUESTORE", "AWS_ENDPOINT_URL_CLOUDFRONT"
	first := func(names ...string) (string, string) {
		for _, name := range names {
			if e := f.app.getenv(name); e != "" {
				return e, name
			}
		}
		return "", ""
	}
	data, source = first(kvs, all, cf)
	control, _ = first(cf, all, kvs)
	return data, control, source
}

// parseEndpoint reads an endpoint URL. User information is dropped: boto3
// users put some there to catch the account label.
func parseEndpoint(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is not a URL such as http://localhost:8080", s)
	}
	u.User = nil
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u, nil
}

// credentials returns the credentials for the target: the AWS chain, and for
// popkv before it the POPKV_ variables.
func (f *targetFlags) credentials(ctx context.Context, t target) (aws.Config, error) {
	opts := []func(*config.LoadOptions) error{config.WithRegion(signingRegion)}
	if f.profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(f.profile))
	}
	if !t.isAWS() {
		// The metadata service of a cloud machine has no credentials for popkv.
		opts = append(opts, config.WithEC2IMDSClientEnableState(imds.ClientDisabled))
		if id := f.app.getenv("POPKV_ACCESS_KEY_ID"); id != "" && f.profile == "" {
			opts = append(opts, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(
				id, f.app.getenv("POPKV_SECRET_ACCESS_KEY"), f.app.getenv("POPKV_SESSION_TOKEN"))))
		}
	}
	cfg, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return aws.Config{}, err
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		if ctx.Err() != nil {
			return aws.Config{}, ctx.Err()
		}
		return aws.Config{}, codedError{exitAuth, errors.New(noCredentials(t, err))}
	}
	return cfg, nil
}

func noCredentials(t target, err error) string {
	if t.isAWS() {
		return "no AWS credentials: " + err.Error()
	}
	return "no credentials for " + t.String() + ": set POPKV_ACCESS_KEY_ID and POPKV_SECRET_ACCESS_KEY " +
		"(for `popkv dev`: eval \"$(popkv env)\"), or use the AWS variables or --profile"
}

// clients are the two AWS APIs of one target.
type clients struct {
	target target
	kvs    *cloudfrontkeyvaluestore.Client
	cf     *cloudfront.Client
}

// clients resolves the target and makes its clients.
func (f *targetFlags) clients(cmd *cobra.Command) (*clients, error) {
	t, err := f.resolve(cmd)
	if err != nil {
		return nil, err
	}
	cfg, err := f.credentials(cmd.Context(), t)
	if err != nil {
		return nil, err
	}
	return &clients{
		target: t,
		kvs: cloudfrontkeyvaluestore.NewFromConfig(cfg, func(o *cloudfrontkeyvaluestore.Options) {
			o.BaseEndpoint = nil // whatever the environment says, the target decides
			if !t.isAWS() {
				o.EndpointResolverV2 = unlabelled{o.EndpointResolverV2, *t.data}
			}
		}),
		cf: cloudfront.NewFromConfig(cfg, func(o *cloudfront.Options) {
			o.BaseEndpoint = nil
			if !t.isAWS() {
				o.BaseEndpoint = aws.String(t.control.String())
			}
		}),
	}, nil
}

// unlabelled sends data-plane requests to the endpoint as it is given. The
// SDK's own rules put the account id in front of its host, which rarely
// resolves and is impossible for an IP address; the signature scheme they
// choose is kept.
type unlabelled struct {
	rules    cloudfrontkeyvaluestore.EndpointResolverV2
	endpoint url.URL
}

// ResolveEndpoint implements the SDK's interface.
func (u unlabelled) ResolveEndpoint(ctx context.Context, p cloudfrontkeyvaluestore.EndpointParameters) (endpoints.Endpoint, error) {
	p.Endpoint = nil
	e, err := u.rules.ResolveEndpoint(ctx, p)
	e.URI = u.endpoint
	return e, err
}

// announce tells on stderr where a write goes.
func (a *app) announce(t target, format string, args ...any) {
	fmt.Fprintf(a.stderr, "%s on %s\n", fmt.Sprintf(format, args...), t)
}
