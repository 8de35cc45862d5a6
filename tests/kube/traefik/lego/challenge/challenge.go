// SPDX-License-Identifier: Apache-2.0

package challenge

type Provider interface {
	Present(domain, token, keyAuth string) error
	CleanUp(domain, token, keyAuth string) error
}
