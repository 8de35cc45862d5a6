/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_REASON_H
#define FAIRLEAD_REASON_H

/*
 * The one registry of reasons: why a Service has an address or not, why a node announces it or not.
 * Names are UpperCamelCase and stable; the same word stands in conditions, Events, metric labels, /status and logs.
 * The sentence is for documentation and as a default message; details go into a message of their own.
 */

#include <stdbool.h>

/* X(name, holds, sentence): @holds says that what was asked for is so. */
#define REASON_TABLE(X)                                                                       \
	/* allocation, said by the controller */                                              \
	X(Assigned, true, "the address was assigned from a pool")                             \
	X(Kept, true, "the address held before stays")                                        \
	X(NoAddressWanted, true, "the Service is not of type LoadBalancer")                   \
	X(NoPools, false, "the configuration has no address pools")                           \
	X(NoSuchPool, false, "the pool asked for does not exist")                             \
	X(PoolExhausted, false, "no pool that the Service may use has a free address")        \
	X(NoAutoAssignPool, false, "no pool of this family assigns automatically")            \
	X(AddressOutsidePools, false, "the address asked for is in no pool")                  \
	X(AddressNotInNamedPool, false, "the address asked for is not in the pool asked for") \
	X(AddressTaken, false, "the address asked for belongs to another Service")            \
	X(AddressUnusable, false, "the address asked for may not be assigned")                \
	X(FamilyMismatch, false, "the address asked for is not of the Service's IP family")   \
	X(InvalidRequest, false, "what the Service asks for cannot be understood")            \
	X(NoClusterIP, false, "the Service has no cluster IP yet, so its family is unknown")  \
	X(Unreadable, false, "the Service cannot be read; what its status holds is kept")     \
	X(Uninstalled, false, "Fairlead was uninstalled and has taken its addresses back")    \
	X(ForeignAddress, false, "the status holds an address outside all pools, left alone") \
	X(PoolNotForUse, false, "the pool asked for is not for this use")                     \
	X(NoExternalIpsWanted, true, "the Service names no pool for external IPs")            \
	X(ExternalIpsAllowed, true, "the external IPs were written by hand, and are allowed") \
	X(ExternalIpsMixed, false,                                                            \
	  "external IPs written by hand stand beside the request for some of a pool")         \
	X(ExternalIpsRefused, false, "the API server refuses to change spec.externalIPs")     \
	X(ExternalIpsOff, false, "the controller may not write external IPs")                 \
	/* announcement, said by each speaker */                                              \
	X(Announced, true, "this node announces the address")                                 \
	X(Candidate, true, "this node may own the address; ownership is being settled")       \
	X(NotOwner, false, "another node of the segment owns the address")                    \
	X(OwnerStillAnswers, false, "the former owner is unheard but still answers ARP")      \
	X(AddressInUse, false, "a stranger on the segment uses the address")                  \
	X(NoInterface, false, "no interface of this node holds the address's subnet")         \
	X(NoEndpoints, false, "the Service has no usable endpoint anywhere")                  \
	X(NoLocalEndpoint, false, "policy Local, and no usable endpoint on this node")        \
	X(NodeExcluded, false, "the node is labelled exclude-from-external-load-balancers")   \
	X(NetworkUnavailable, false, "the node's condition NetworkUnavailable is true")       \
	X(NodeUnknown, false, "the API server has no Node of this name")                      \
	X(NodeNotReady, false, "the node is not Ready, so its speaker is taken for dead")     \
	X(SpeakerSilent, false, "the node's speaker did not answer")                          \
	X(AddressNotInPool, false, "the address is in no pool of the configuration")          \
	X(AddressShared, false, "another Service has the same address, and comes first")      \
	X(ProtocolUnsupported, false, "the pool is not announced by this protocol here")      \
	X(FamilyUnsupported, false, "by layer 2 this version announces IPv4 only")            \
	X(IpModeProxy, false, "the address is published with ipMode Proxy")                   \
	X(OtherClass, false, "the Service belongs to another load balancer class")            \
	X(NotLoadBalancer, false, "the Service is not of type LoadBalancer")                  \
	X(ExternalIpNotAllowed, false,                                                        \
	  "the external IP was written by hand, and is not allowed here")                     \
	X(NodeAddress, false, "the address is a node's own, and is not announced")            \
	X(NotForwarded, false, "the Service has no cluster IP of the address's family")       \
	X(NoAddress, false, "the Service has no address yet")                                 \
	X(NoConfiguration, false, "no accepted configuration was published yet")              \
	X(HeartbeatKeyPending, false, "the speaker does not know the heartbeat key yet")      \
	X(RulesPending, false, "the data plane is not programmed yet")                        \
	/* announcement by BGP, said by each speaker */                                       \
	X(BgpUnreachable, false, "bgpd does not answer on its vty socket")                    \
	X(BgpAsMismatch, false, "bgpd runs an instance of another AS number")                 \
	X(BgpForeignInstance, false,                                                          \
	  "a neighbour of others would receive our networks unfiltered")                      \
	X(BgpImportCheck, false, "bgpd's network import-check holds our networks back")       \
	X(BgpPeerTaken, false, "bgpd has a neighbour of this address that is not ours")       \
	X(BgpPeerRefused, false, "the BGP peer cannot be had on this node beside its others") \
	X(BgpPrefixTaken, false, "bgpd has a network line of this prefix that is not ours")   \
	X(BgpRefused, false, "bgpd refused a command")                                        \
	X(BgpNoPeer, false, "the configuration has no BGP peer for this node")                \
	X(BgpNoPassword, false, "the password of the BGP peer is not in the Secret")          \
	X(BgpNoSession, false, "no BGP session of this node is established")                  \
	X(BgpSessionLost, false, "a BGP session that was established is lost")                \
	X(BgpSessionUp, true, "a BGP session that was lost or late is established")           \
	X(BgpReady, true, "nothing stands in the way of BGP on this node any more")           \
	X(BgpPending, false, "bgpd has not acknowledged the announcement yet")                \
	X(Deleting, false, "the Service is being deleted")

enum reason {
#define X(name, holds, sentence) REASON_##name,
	REASON_TABLE(X)
#undef X
		REASON_COUNT
};

const char *reason_name(enum reason r);     /* "NotOwner" */
const char *reason_sentence(enum reason r); /* "another node of the segment owns the address" */
bool reason_holds(enum reason r);

#endif
