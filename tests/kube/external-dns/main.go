// SPDX-License-Identifier: Apache-2.0

// ExternalDNS with its own flags, its sources, its registry txt and the provider rfc2136, and no other provider: all of them
// together bring the clients of forty clouds, some of which no module proxy has any more. What it does is in its packages; its
// own main only joins them, as this one does.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	log "github.com/sirupsen/logrus"
	"k8s.io/apimachinery/pkg/labels"

	"sigs.k8s.io/external-dns/controller"
	"sigs.k8s.io/external-dns/endpoint"
	"sigs.k8s.io/external-dns/pkg/apis/externaldns"
	"sigs.k8s.io/external-dns/pkg/apis/externaldns/validation"
	"sigs.k8s.io/external-dns/plan"
	"sigs.k8s.io/external-dns/provider/rfc2136"
	"sigs.k8s.io/external-dns/registry"
	"sigs.k8s.io/external-dns/source"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func newSource(ctx context.Context, cfg *externaldns.Config) source.Source {
	clients := &source.SingletonClientGenerator{KubeConfig: cfg.KubeConfig, APIServerURL: cfg.APIServerURL}
	wanted := &source.Config{
		Namespace:         cfg.Namespace,
		AnnotationFilter:  cfg.AnnotationFilter,
		LabelFilter:       must(labels.Parse(cfg.LabelFilter)),
		FQDNTemplate:      cfg.FQDNTemplate,
		KubeConfig:        cfg.KubeConfig,
		APIServerURL:      cfg.APIServerURL,
		ServiceTypeFilter: cfg.ServiceTypeFilter,
		UpdateEvents:      cfg.UpdateEvents,
	}
	sources := must(source.ByNames(ctx, clients, cfg.Sources, wanted))
	return source.NewDedupSource(source.NewMultiSource(sources, nil))
}

func newRegistry(cfg *externaldns.Config, domains endpoint.DomainFilter) registry.Registry {
	if cfg.Provider != "rfc2136" || cfg.Registry != "txt" {
		log.Fatal("this program has the provider rfc2136 and the registry txt, and no others")
	}
	server := must(rfc2136.NewRfc2136Provider(cfg.RFC2136Host, cfg.RFC2136Port, cfg.RFC2136Zone, cfg.RFC2136Insecure,
		cfg.RFC2136TSIGKeyName, cfg.RFC2136TSIGSecret, cfg.RFC2136TSIGSecretAlg, cfg.RFC2136TAXFR, domains, cfg.DryRun,
		cfg.RFC2136MinTTL, cfg.RFC2136CreatePTR, false, "", "", "", cfg.RFC2136BatchChangeSize, rfc2136.TLSConfig{},
		cfg.RFC2136LoadBalancingStrategy, nil))
	return must(registry.NewTXTRegistry(server, cfg.TXTPrefix, cfg.TXTSuffix, cfg.TXTOwnerID, cfg.TXTCacheInterval,
		cfg.TXTWildcardReplacement, cfg.ManagedDNSRecordTypes, cfg.ExcludeDNSRecordTypes, false, nil, cfg.TXTNewFormatOnly))
}

func main() {
	cfg := externaldns.NewConfig()
	if err := cfg.ParseFlags(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
	if err := validation.ValidateConfig(cfg); err != nil {
		log.Fatal(err)
	}
	log.SetLevel(must(log.ParseLevel(cfg.LogLevel)))

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	domains := endpoint.NewDomainFilterWithExclusions(cfg.DomainFilter, cfg.ExcludeDomains)
	policy, known := plan.Policies[cfg.Policy]
	if !known {
		log.Fatalf("unknown policy: %s", cfg.Policy)
	}
	loop := controller.Controller{
		Source:               newSource(ctx, cfg),
		Registry:             newRegistry(cfg, domains),
		Policy:               policy,
		Interval:             cfg.Interval,
		DomainFilter:         domains,
		ManagedRecordTypes:   cfg.ManagedDNSRecordTypes,
		ExcludeRecordTypes:   cfg.ExcludeDNSRecordTypes,
		MinEventSyncInterval: cfg.MinEventSyncInterval,
	}
	if cfg.UpdateEvents {
		loop.Source.AddEventHandler(ctx, func() { loop.ScheduleRunOnce(time.Now()) })
	}
	loop.ScheduleRunOnce(time.Now())
	loop.Run(ctx)
}
