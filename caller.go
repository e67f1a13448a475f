package popkv

// A Caller is the identity behind a verified request. Its account was fixed
// when the access key was made and is never taken from the request.
type Caller struct {
	Account     string // 12 digits
	User        string // "root" or the user's name
	AccessKeyID string // for the request log only; never stored in a record
}

// RootUser may do everything in its account.
const RootUser = "root"

// IsRoot reports whether the caller is the account's root user.
func (c Caller) IsRoot() bool { return c.User == RootUser }

// ARN is the principal as AWS writes it: arn:aws:iam::ACCT:root or
// arn:aws:iam::ACCT:user/NAME.
func (c Caller) ARN() string {
	if c.IsRoot() {
		return "arn:aws:iam::" + c.Account + ":root"
	}
	return "arn:aws:iam::" + c.Account + ":user/" + c.User
}
