package s3store_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hindsight/s3store/s3test"
)

// credentialPlaces answers as the places that machines have their credentials from, each with those
// of root: the metadata of an instance, an agent in a container, and STS.
func credentialPlaces(t *testing.T) *httptest.Server {
	key, end := s3test.Root, time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	object := fmt.Sprintf(`{"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": %q, "SecretAccessKey": %q, "Expiration": %q}`,
		key.Access, key.Secret, end)
	mux := http.NewServeMux()
	answer := func(pattern, text string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
	}
	mux.HandleFunc("PUT /latest/api/token", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "300")
		fmt.Fprint(w, "token")
	})
	answer("GET /latest/meta-data/iam/security-credentials/{$}", "node")
	answer("GET /latest/meta-data/iam/security-credentials/node", object)
	answer("GET /container", object)
	answer("POST /", fmt.Sprintf(`<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>
		<AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken></SessionToken><Expiration>%s</Expiration>
		</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`, key.Access, key.Secret, end))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// TestCredentials signs with what each place of the usual chain gives.
func TestCredentials(t *testing.T) {
	gateway, server, dir := s3test.NewGateway(t, bucket), credentialPlaces(t), t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	keys := fmt.Sprintf("aws_access_key_id = %s\naws_secret_access_key = %s\n", s3test.Root.Access, s3test.Root.Secret)
	token := file("token", "token")
	for name, env := range map[string]map[string]string{
		"default profile": {"AWS_SHARED_CREDENTIALS_FILE": file("default", "[default]\n"+keys)},
		"named profile": {
			"AWS_PROFILE":                 "node",
			"AWS_SHARED_CREDENTIALS_FILE": file("named", "[default]\naws_access_key_id = x\naws_secret_access_key = y\n[node]\n"+keys),
		},
		"profile of the configuration": {"AWS_PROFILE": "node", "AWS_CONFIG_FILE": file("config", "[profile node]\n"+keys)},
		"web identity": {
			"AWS_ROLE_ARN":                "arn:aws:iam::123456789012:role/node",
			"AWS_WEB_IDENTITY_TOKEN_FILE": token,
			"AWS_ENDPOINT_URL_STS":        server.URL,
		},
		"container": {"AWS_CONTAINER_CREDENTIALS_FULL_URI": server.URL + "/container"},
		"instance":  {"AWS_EC2_METADATA_SERVICE_ENDPOINT": server.URL},
	} {
		t.Run(name, func(t *testing.T) {
			for _, pair := range os.Environ() {
				if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "AWS_") {
					t.Setenv(name, "")
				}
			}
			t.Setenv("AWS_CONFIG_FILE", os.DevNull)
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
			for name, value := range env {
				t.Setenv(name, value)
			}
			s := open(t, config(gateway.URL, "node"))
			if err := s.Delete(t.Context(), "object"); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
