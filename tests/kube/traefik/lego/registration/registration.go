// SPDX-License-Identifier: Apache-2.0

package registration

import (
	"crypto"
	"errors"
)

type Resource struct {
	URI string `json:"uri,omitempty"`
}

type User interface {
	GetEmail() string
	GetRegistration() *Resource
	GetPrivateKey() crypto.PrivateKey
}

type RegisterOptions struct{ TermsOfServiceAgreed bool }

type RegisterEABOptions struct {
	TermsOfServiceAgreed bool
	Kid, HmacEncoded     string
}

type Registrar struct{}

func (*Registrar) Register(RegisterOptions) (*Resource, error) { return nil, errors.ErrUnsupported }

func (*Registrar) RegisterWithExternalAccountBinding(RegisterEABOptions) (*Resource, error) {
	return nil, errors.ErrUnsupported
}
