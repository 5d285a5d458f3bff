package main

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
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
	kind  string
	typed client.Object
	text  string
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
		typed := newOf(about.Kind)
		if typed == nil {
			return nil, fmt.Errorf("no type for %s", about.Kind)
		}
		if err := json.Unmarshal(one, typed); err != nil {
			return nil, err
		}
		result.children = append(result.children, childTemplate{kind: about.Kind, typed: typed, text: string(one)})
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

// wanted is the child for one resource, made of typed objects as a program makes it that writes them as literals.
func (t childTemplate) wanted(words *strings.Replacer) client.Object {
	typed := t.typed.DeepCopyObject().(client.Object)
	fill(reflect.ValueOf(typed).Elem(), words)
	return typed
}

// sent is the child as it is sent: exactly the fields of the template.
func (t childTemplate) sent(words *strings.Replacer) (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{}
	return object, object.UnmarshalJSON([]byte(words.Replace(t.text)))
}

// fill puts a resource's own words into every string of a value; into bytes it does not look.
func fill(value reflect.Value, words *strings.Replacer) {
	switch value.Kind() {
	case reflect.String:
		if text := value.String(); strings.Contains(text, "template-") {
			value.SetString(words.Replace(text))
		}
	case reflect.Pointer:
		if !value.IsNil() {
			fill(value.Elem(), words)
		}
	case reflect.Slice:
		if value.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for i := range value.Len() {
			fill(value.Index(i), words)
		}
	case reflect.Map:
		if value.Type().Elem().Kind() != reflect.String {
			return
		}
		for entries := value.MapRange(); entries.Next(); {
			if text := entries.Value().String(); strings.Contains(text, "template-") {
				value.SetMapIndex(entries.Key(), reflect.ValueOf(words.Replace(text)))
			}
		}
	case reflect.Struct:
		for i := range value.NumField() {
			if field := value.Field(i); field.CanSet() {
				fill(field, words)
			}
		}
	}
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
