// SPDX-License-Identifier: Apache-2.0

package certificate

import "errors"

type Resource struct {
	Domain      string
	PrivateKey  []byte
	Certificate []byte
}

type ObtainRequest struct {
	Domains        []string
	Bundle         bool
	EmailAddresses []string
	Profile        string
	PreferredChain string
}

type RenewOptions struct {
	Bundle         bool
	EmailAddresses []string
	Profile        string
	PreferredChain string
}

type Certifier struct{}

func (*Certifier) Obtain(ObtainRequest) (*Resource, error) { return nil, errors.ErrUnsupported }

func (*Certifier) RenewWithOptions(Resource, *RenewOptions) (*Resource, error) {
	return nil, errors.ErrUnsupported
}
