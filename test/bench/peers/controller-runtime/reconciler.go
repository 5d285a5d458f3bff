package main

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

type reconciler struct {
	client   client.Client
	template *template
}

// Reconcile writes in the order in which Naru's engine does: the revision, status, then the other children.
func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var serving ModelServing
	if err := r.client.Get(ctx, request.NamespacedName, &serving); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	words := replacer(&serving)
	for i, one := range r.template.children {
		if i == 1 {
			if err := r.updateStatus(ctx, &serving, words); err != nil {
				return ctrl.Result{}, err
			}
		}
		if err := r.apply(ctx, one, words); err != nil {
			return ctrl.Result{}, err
		}
	}
	return ctrl.Result{}, nil
}

func (r *reconciler) apply(ctx context.Context, one childTemplate, words *strings.Replacer) error {
	wanted := one.wanted(words)
	observed := newOf(one.kind)
	err := r.client.Get(ctx, client.ObjectKeyFromObject(wanted), observed)
	if err == nil && holds(wanted, observed) {
		return nil
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	object, err := one.sent(words)
	if err != nil {
		return err
	}
	return r.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object),
		client.FieldOwner("naru-operator"), client.ForceOwnership)
}

// holds says whether every field that is wanted is there. A ControllerRevision's data never changes, and its name says
// what is in it.
func holds(wanted, observed client.Object) bool {
	wanted.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	// A time that is not set is not equal to one that is, also for DeepDerivative.
	wanted.SetCreationTimestamp(observed.GetCreationTimestamp())
	// Nor is a number that is not set.
	wanted.SetGeneration(observed.GetGeneration())
	if deployment, isDeployment := wanted.(*appsv1.Deployment); isDeployment {
		setProbeDefaults(deployment.Spec.Template.Spec.Containers)
	}
	if _, isRevision := wanted.(*appsv1.ControllerRevision); isRevision {
		return equality.Semantic.DeepDerivative(wanted.GetLabels(), observed.GetLabels()) &&
			equality.Semantic.DeepDerivative(wanted.GetOwnerReferences(), observed.GetOwnerReferences())
	}
	return equality.Semantic.DeepDerivative(wanted, observed)
}

// setProbeDefaults writes the one default of the server's that is a number and no pointer to one.
func setProbeDefaults(containers []corev1.Container) {
	for _, container := range containers {
		for _, probe := range []*corev1.Probe{container.StartupProbe, container.ReadinessProbe, container.LivenessProbe} {
			if probe != nil && probe.SuccessThreshold == 0 {
				probe.SuccessThreshold = 1
			}
		}
	}
}

type condition struct {
	LastTransitionTime string `json:"lastTransitionTime"`
}

func (r *reconciler) updateStatus(ctx context.Context, serving *ModelServing, words *strings.Replacer) error {
	var before struct {
		Conditions []condition `json:"conditions"`
	}
	if len(serving.Status) > 0 {
		if err := json.Unmarshal(serving.Status, &before); err != nil {
			return err
		}
	}
	at := time.Now().UTC().Format(time.RFC3339)
	if len(before.Conditions) > 0 {
		at = before.Conditions[0].LastTransitionTime
	}
	wanted := []byte(strings.ReplaceAll(words.Replace(string(r.template.status)), "1970-01-01T00:00:00Z", at))
	same, err := sameJSON(wanted, serving.Status)
	if same || err != nil {
		return err
	}
	serving.Status = wanted
	return r.client.Status().Update(ctx, serving)
}

func sameJSON(a, b []byte) (bool, error) {
	if len(b) == 0 {
		return false, nil
	}
	var left, right any
	if err := json.Unmarshal(a, &left); err != nil {
		return false, err
	}
	if err := json.Unmarshal(b, &right); err != nil {
		return false, err
	}
	return reflect.DeepEqual(left, right), nil
}
