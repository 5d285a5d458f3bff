// A controller-runtime program that does for ModelServings what Naru's operator does in the benchmark: the same
// children, byte for byte in size, applied by server-side apply, and the same status. It is written as its users write
// theirs: typed children in the cache, compared with equality.Semantic.DeepDerivative, so that a reconcile in which
// nothing differs sends no request. What is not said here is controller-runtime's default, the priority queue included.
package main

import (
	"flag"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

func main() {
	templateFile := flag.String("template", "", "what is applied for each resource: see template.go")
	metrics := flag.String("metrics-address", "127.0.0.1:8080", "where /metrics is served")
	concurrency := flag.Int("concurrency", 8, "resources that are reconciled at once")
	strip := flag.Bool("strip-managed-fields", false, "keep no managedFields in the cache")
	flag.Parse()
	ctrl.SetLogger(zap.New())
	if err := run(*templateFile, *metrics, *concurrency, *strip); err != nil {
		ctrl.Log.Error(err, "the program ends")
		os.Exit(1)
	}
}

func run(templateFile, metrics string, concurrency int, strip bool) error {
	template, err := readTemplate(templateFile)
	if err != nil {
		return err
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	// As Naru's: the API server's own fairness is the only limit.
	config.QPS = -1
	if err := addToScheme(clientgoscheme.Scheme); err != nil {
		return err
	}
	options := manager.Options{
		Scheme:                        clientgoscheme.Scheme,
		Metrics:                       metricsserver.Options{BindAddress: metrics},
		LeaderElection:                true,
		LeaderElectionID:              "peer",
		LeaderElectionNamespace:       "default",
		LeaderElectionReleaseOnCancel: true,
	}
	if strip {
		options.Cache.DefaultTransform = cache.TransformStripManagedFields()
	}
	mgr, err := ctrl.NewManager(config, options)
	if err != nil {
		return err
	}
	err = ctrl.NewControllerManagedBy(mgr).
		For(&ModelServing{}).
		Owns(&appsv1.ControllerRevision{}).
		Owns(&corev1.ConfigMap{}).
		Owns(&corev1.ServiceAccount{}).
		Owns(&corev1.Service{}).
		Owns(&appsv1.Deployment{}).
		Owns(&policyv1.PodDisruptionBudget{}).
		Owns(&networkingv1.NetworkPolicy{}).
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrency}).
		Complete(&reconciler{client: mgr.GetClient(), template: template})
	if err != nil {
		return err
	}
	go collectOnSignal()
	return mgr.Start(ctrl.SetupSignalHandler())
}

// collectOnSignal gives back what garbage collection frees whenever SIGUSR2 arrives: how much is really held is read
// from outside.
func collectOnSignal() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR2)
	for range asked {
		debug.FreeOSMemory()
	}
}
