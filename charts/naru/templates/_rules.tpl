{{/*
What the operator may do in the namespaces that it watches: in a ClusterRole, or in a Role of each. There is no Secret
in it, no exec, and no right over rights. What a Deployment may reach in a namespace, its maker reaches too.
*/}}
{{- define "naru.rules.watched" -}}
- apiGroups: [naru.dev]
  resources: [modelservings]
  verbs:
    - list # what there is at the start, and after a watch has ended
    - watch # what people change; nothing here is written
- apiGroups: [naru.dev]
  resources: [modelservings/status]
  verbs:
    - update # what was observed, at the resourceVersion that it was observed of
- apiGroups: [naru.dev]
  resources: [modelservings/finalizers]
  verbs:
    - update # children block their owner's deletion; clusters that check owner references (OpenShift) ask for this
- apiGroups: [""]
  resources: [pods]
  verbs:
    - list # which pods are ready, of which revision, and why one is not
    - watch # a rollout goes by readiness
- apiGroups: [""]
  resources: [events]
  verbs:
    - create # what happened, told once
    - patch # the count of an Event that is told again
# What pods are told, how they are reached, who they are.
- apiGroups: [""]
  resources: [configmaps, services, serviceaccounts]
  verbs:
    - list # which children there are
    - watch # one that somebody changed or deleted is put back
    - create # server-side apply of a child that is not there
    - patch # server-side apply of a child that is
    - delete # a child that is wanted no more
# Serving pods and routers; replicas that an HPA has set are read back.
- apiGroups: [apps]
  resources: [deployments]
  verbs:
    - list # which children there are
    - watch # one that somebody changed or deleted is put back
    - create # server-side apply of a child that is not there
    - patch # server-side apply of a child that is
    - delete # a child that is wanted no more
# The last ten revisions, for going back.
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs:
    - list # which children there are
    - watch # one that somebody changed or deleted is put back
    - create # server-side apply of a child that is not there
    - patch # server-side apply of a child that is
    - delete # a child that is wanted no more
# What evictions have to leave.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs:
    - list # which children there are
    - watch # one that somebody changed or deleted is put back
    - create # server-side apply of a child that is not there
    - patch # server-side apply of a child that is
    - delete # a child that is wanted no more
# spec.autoscaling.
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs:
    - list # which children there are
    - watch # one that somebody changed or deleted is put back
    - create # server-side apply of a child that is not there
    - patch # server-side apply of a child that is
    - delete # a child that is wanted no more
# Who may connect to the pods.
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs:
    - list # which children there are
    - watch # one that somebody changed or deleted is put back
    - create # server-side apply of a child that is not there
    - patch # server-side apply of a child that is
    - delete # a child that is wanted no more
# spec.autoscaling where KEDA is to do it.
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs:
    - list # which children there are
    - watch # one that somebody changed or deleted is put back
    - create # server-side apply of a child that is not there
    - patch # server-side apply of a child that is
    - delete # a child that is wanted no more
# spec.observability.serviceMonitor.
- apiGroups: [monitoring.coreos.com]
  resources: [servicemonitors]
  verbs:
    - list # which children there are
    - watch # one that somebody changed or deleted is put back
    - create # server-side apply of a child that is not there
    - patch # server-side apply of a child that is
    - delete # a child that is wanted no more
# spec.traffic.parentRefs.
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes, grpcroutes]
  verbs:
    - list # which children there are
    - watch # one that somebody changed or deleted is put back
    - create # server-side apply of a child that is not there
    - patch # server-side apply of a child that is
    - delete # a child that is wanted no more
{{- end -}}

{{/* What it may do in its own namespace alone. */}}
{{- define "naru.rules.own" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [naru-operator]
  verbs:
    - get # who leads
    - update # taken, renewed and given back
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs:
    - create # the first time; a name can't be asked for here
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [naru-router-signing-key]
  verbs:
    - get # the key that signs what routers are told
- apiGroups: [""]
  resources: [secrets]
  verbs:
    - create # that key, the first time; a name can't be asked for here
- apiGroups: [""]
  resources: [events]
  verbs:
    - create # who leads, told at the lease
    - patch # the count of an Event that is told again
{{- end -}}

{{/* What is of no namespace. */}}
{{- define "naru.rules.cluster" -}}
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  verbs:
    - list # whether KEDA, Gateway API and the Prometheus operator are there
    - watch # one that is installed later is taken up, one that is removed is let go
{{- end -}}
