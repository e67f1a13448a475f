// Package cfjs is the CloudFront Functions runtime.
package cfjs
