package cfjs

// An OriginChange is what a function asked of the origin. One field is set:
// the last call wins (assumed).
type OriginChange struct {
	Update *OriginUpdate    `json:"update,omitempty"`
	Select *OriginSelection `json:"select,omitempty"`
	Group  *OriginGroup     `json:"group,omitempty"`
}

// An OriginUpdate holds the arguments of updateRequestOrigin. A nil field
// inherits from the origin that the route assigns (documented).
type OriginUpdate struct {
	DomainName              *string              `json:"domainName,omitempty"`
	HostHeader              *string              `json:"hostHeader,omitempty"`
	OriginPath              *string              `json:"originPath,omitempty"`
	CustomHeaders           map[string]string    `json:"customHeaders,omitempty"` // empty but not nil clears
	ConnectionAttempts      *int                 `json:"connectionAttempts,omitempty"`
	OriginShield            *OriginShield        `json:"originShield,omitempty"`
	AccessControl           *OriginAccessControl `json:"originAccessControlConfig,omitempty"`
	Timeouts                *OriginTimeouts      `json:"timeouts,omitempty"`
	CustomOrigin            *CustomOrigin        `json:"customOriginConfig,omitempty"`
	SNI                     *string              `json:"sni,omitempty"`
	AllowedCertificateNames []string             `json:"allowedCertificateNames,omitempty"`
	MutualTLS               *string              `json:"mTLSConfig,omitempty"`
}

// OriginShield is a caching layer in front of the origin.
type OriginShield struct {
	Enabled bool   `json:"enabled"`
	Region  string `json:"region,omitempty"`
}

// OriginAccessControl says how requests to the origin are signed.
type OriginAccessControl struct {
	Enabled         bool   `json:"enabled"`
	SigningBehavior string `json:"signingBehavior,omitempty"`
	SigningProtocol string `json:"signingProtocol,omitempty"`
	OriginType      string `json:"originType,omitempty"`
}

// OriginTimeouts are in seconds; 0 inherits.
type OriginTimeouts struct {
	ReadTimeout               int `json:"readTimeout,omitempty"`
	ResponseCompletionTimeout int `json:"responseCompletionTimeout,omitempty"`
	KeepAliveTimeout          int `json:"keepAliveTimeout,omitempty"`
	ConnectionTimeout         int `json:"connectionTimeout,omitempty"`
}

// CustomOrigin describes an origin that is not S3.
type CustomOrigin struct {
	Port          int      `json:"port,omitempty"`
	Protocol      string   `json:"protocol,omitempty"`
	SSLProtocols  []string `json:"sslProtocols,omitempty"`
	IPAddressType string   `json:"ipAddressType,omitempty"`
}

// An OriginSelection holds the arguments of selectRequestOriginById, and an
// element of an [OriginGroup].
type OriginSelection struct {
	ID                      string   `json:"originId"`
	HostHeader              *string  `json:"hostHeader,omitempty"`
	SNI                     *string  `json:"sni,omitempty"`
	AllowedCertificateNames []string `json:"allowedCertificateNames,omitempty"`
}

// An OriginGroup holds the arguments of createRequestOriginGroup: the second
// origin is asked when the first answers with one of the status codes.
type OriginGroup struct {
	Origins           [2]OriginSelection `json:"origins"`
	SelectionCriteria string             `json:"selectionCriteria"` // default or media-quality-score
	StatusCodes       []int              `json:"statusCodes"`
}
