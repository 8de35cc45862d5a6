// SPDX-License-Identifier: Apache-2.0

// Kubernetes' own end-to-end suite, as far as it is about the network: tests/upstream runs it.
package e2e

import (
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/onsi/ginkgo/v2"
	"k8s.io/kubernetes/test/e2e"
	_ "k8s.io/kubernetes/test/e2e/common/network"
	_ "k8s.io/kubernetes/test/e2e/feature"
	"k8s.io/kubernetes/test/e2e/framework"
	"k8s.io/kubernetes/test/e2e/framework/config"
	_ "k8s.io/kubernetes/test/e2e/framework/debug/init"
	_ "k8s.io/kubernetes/test/e2e/framework/metrics/init"
	_ "k8s.io/kubernetes/test/e2e/framework/node/init"
	"k8s.io/kubernetes/test/e2e/framework/testfiles"
	_ "k8s.io/kubernetes/test/e2e/network"
	manifests "k8s.io/kubernetes/test/e2e/testing-manifests"
)

var outcomes = flag.String("outcomes", "", "a file that gets ginkgo's report of each test when it has ended, a line each")

// Several processes write to the file, each a line at once.
func write(report ginkgo.SpecReport) {
	report.CapturedGinkgoWriterOutput, report.CapturedStdOutErr, report.SpecEvents = "", "", nil
	line, err := json.Marshal(report)
	if err != nil {
		panic(err)
	}
	file, err := os.OpenFile(*outcomes, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	if _, err := file.Write(append(line, '\n')); err != nil {
		panic(err)
	}
}

func TestMain(m *testing.M) {
	config.CopyFlags(config.Flags, flag.CommandLine)
	framework.RegisterCommonFlags(flag.CommandLine)
	framework.RegisterClusterFlags(flag.CommandLine)
	flag.Parse()
	testfiles.AddFileSource(manifests.GetE2ETestingManifestsFS())
	framework.AfterReadingAllFlags(&framework.TestContext)
	// Not before: it has Ginkgo rehearse the tests with all that is there, and run them afterwards without what is outside of containers.
	if *outcomes != "" {
		ginkgo.ReportAfterEach(write)
	}
	os.Exit(m.Run())
}

func TestE2E(t *testing.T) {
	e2e.RunE2ETests(t)
}
