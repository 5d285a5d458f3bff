package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// template is what Naru's decide gives for one resource, with words in the place of what each resource has for itself.
type template struct {
	children []childTemplate
	status   []byte
}

type childTemplate struct {
	kind string
	text []byte
}

// child is one wanted object, as it is compared and as it is sent.
type child struct {
	typed client.Object
	text  []byte
}

func readTemplate(file string) (*template, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var read struct {
		Children []json.RawMessage `json:"children"`
		Status   json.RawMessage   `json:"status"`
	}
	if err := json.Unmarshal(text, &read); err != nil {
		return nil, err
	}
	result := &template{status: read.Status}
	for _, one := range read.Children {
		var about struct {
			Kind string `json:"kind"`
		}
		if err := json.Unmarshal(one, &about); err != nil {
			return nil, err
		}
		if newOf(about.Kind) == nil {
			return nil, fmt.Errorf("no type for %s", about.Kind)
		}
		result.children = append(result.children, childTemplate{kind: about.Kind, text: one})
	}
	return result, nil
}

// replacer puts a resource's own words into the template's places.
func replacer(serving *ModelServing) *strings.Replacer {
	sum := sha256.Sum256([]byte(serving.Namespace + "/" + serving.Name))
	revision := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:10]
	return strings.NewReplacer(
		"template-own-name", serving.Name,
		"template-namespace", serving.Namespace,
		"template-uid", string(serving.UID),
		"template-revision", revision,
	)
}

// render gives a child as it is wanted for one resource.
func (t childTemplate) render(words *strings.Replacer) (child, error) {
	text := []byte(words.Replace(string(t.text)))
	typed := newOf(t.kind)
	if err := json.Unmarshal(text, typed); err != nil {
		return child{}, err
	}
	return child{typed: typed, text: text}, nil
}

// unstructured is the child as it is sent: exactly the fields of the template.
func (c child) unstructured() (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{}
	return object, object.UnmarshalJSON(bytes.Clone(c.text))
}

func newOf(kind string) client.Object {
	switch kind {
	case "ControllerRevision":
		return &appsv1.ControllerRevision{}
	case "ConfigMap":
		return &corev1.ConfigMap{}
	case "ServiceAccount":
		return &corev1.ServiceAccount{}
	case "Service":
		return &corev1.Service{}
	case "Deployment":
		return &appsv1.Deployment{}
	case "PodDisruptionBudget":
		return &policyv1.PodDisruptionBudget{}
	case "NetworkPolicy":
		return &networkingv1.NetworkPolicy{}
	}
	return nil
}
