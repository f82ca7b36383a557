package explain

import "testing"

// Secrets are masked wherever in a URL they stand, and masking twice adds nothing.
func TestMask(t *testing.T) {
	for in, want := range map[string]string{
		"https://h/?a=b#access_token=S3":          "https://h/?a=b#access_token=…",
		"https://h/?next=https://x/?token=S3&x=1": "https://h/?next=https://x/?token=…&x=1",
		"https://h/?u=%3Fa%3Db%26jwt%3DS3&y=2":    "https://h/?u=%3Fa%3Db%26jwt%3D…&y=2",
		"https://h/?x=1&sid=S3;y=2":               "https://h/?x=1&sid=…;y=2",
		"https://h/?page=2&q=shoes":               "https://h/?page=2&q=shoes",
		"//u:p@h/?code=S3":                        "//…@h/?code=…",
	} {
		if got := mask(mask(in)); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}
