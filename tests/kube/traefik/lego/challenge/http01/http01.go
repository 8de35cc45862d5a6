// SPDX-License-Identifier: Apache-2.0

package http01

import "time"

type ChallengeOption func()

func SetDelay(time.Duration) ChallengeOption { return nil }

func ChallengePath(token string) string { return "/.well-known/acme-challenge/" + token }
