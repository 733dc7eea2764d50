{{- /* Parts of the generated templates. Each gives lines of YAML without indentation, or nothing. */ -}}

{{- define "aichat-workspace-operator.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ printf "%s@%s" $image.repository $image.digest }}
{{- else -}}
{{ printf "%s:%s" $image.repository ($image.tag | default (printf "v%s" .Chart.AppVersion)) }}
{{- end -}}
{{- end -}}

{{- define "aichat-workspace-operator.optional" -}}
{{- with . }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{- /* Annotations of an object of `helm test`, in one line. A Job that failed stays until the next test. */ -}}
{{- define "aichat-workspace-operator.test-hook" -}}
{{ dict "helm.sh/hook" "test" "helm.sh/hook-weight" . "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded" "helm.sh/hook-output-log-policy" "hook-succeeded,hook-failed" | toJson }}
{{- end -}}

{{- define "aichat-workspace-operator.pod-annotations" -}}
{{- with .podAnnotations -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{- /* Of a pod's spec: what is there only if its value is not empty. Takes the root and the component. */ -}}
{{- define "aichat-workspace-operator.pod" -}}
{{- $root := index . 0 -}}
{{- $component := index $root.Values (index . 1) -}}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $component.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $component.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $component.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $component.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- /* Environment variables. A number in JSON has no exponent, as 33554432 otherwise would. */ -}}
{{- define "aichat-workspace-operator.variables" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ kindIs "string" $value | ternary $value (toJson $value) | quote }}
{{- end }}
{{- end -}}

{{- define "aichat-workspace-operator.operator-env" -}}
{{- with .Values.operator.env -}}
env:
  {{- include "aichat-workspace-operator.variables" . | trim | nindent 2 }}
{{- end -}}
{{- end -}}

{{- define "aichat-workspace-operator.api-env" -}}
{{- $oidc := .Values.api.oidc -}}
- name: API_TRUSTED_PROXIES
  value: {{ join "," .Values.api.trustedProxies | quote }}
{{- if or .Values.api.publicUrl $oidc.issuer }}
- name: PUBLIC_URL
  value: {{ .Values.api.publicUrl | default (printf "https://%s" .Values.api.host) | quote }}
{{- end }}
{{- if $oidc.issuer }}
- name: OIDC_ISSUER
  value: {{ $oidc.issuer | quote }}
- name: OIDC_CLIENT_ID
  value: {{ $oidc.clientId | quote }}
- name: OIDC_SCOPE
  value: {{ $oidc.scope | quote }}
{{- with $oidc.clientSecretName }}
- name: OIDC_CLIENT_SECRET
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: client-secret
{{- end }}
{{- with $oidc.cliClientId }}
- name: OIDC_CLI_CLIENT_ID
  value: {{ . | quote }}
{{- end }}
{{- if $oidc.caConfigMapName }}
- name: OIDC_CA_FILE
  value: /etc/oidc/ca.crt
{{- end }}
{{- end }}
{{- include "aichat-workspace-operator.variables" .Values.api.env }}
{{- end -}}

{{- define "aichat-workspace-operator.api-volume-mounts" -}}
{{- if and .Values.api.oidc.issuer .Values.api.oidc.caConfigMapName -}}
volumeMounts:
  - name: oidc-ca
    mountPath: /etc/oidc
    readOnly: true
{{- end -}}
{{- end -}}

{{- define "aichat-workspace-operator.api-volumes" -}}
{{- if and .Values.api.oidc.issuer .Values.api.oidc.caConfigMapName -}}
volumes:
  - name: oidc-ca
    configMap:
      name: {{ .Values.api.oidc.caConfigMapName }}
      items:
        - key: ca.crt
          path: ca.crt
{{- end -}}
{{- end -}}

{{- define "aichat-workspace-operator.ingress-annotations" -}}
{{- with .Values.api.ingress.issuer }}
{{- if .name }}
cert-manager.io/{{ eq .kind "Issuer" | ternary "issuer" "cluster-issuer" }}: {{ .name }}
{{- end }}
{{- end }}
{{- with .Values.api.ingress.annotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "aichat-workspace-operator.ingress-class" -}}
{{- with .Values.api.ingress.className -}}
ingressClassName: {{ . }}
{{- end -}}
{{- end -}}

{{- define "aichat-workspace-operator.ingress-secret" -}}
{{- $certificate := empty .Values.api.ingress.issuer.name | ternary "" "aichat-workspace-api-tls" -}}
{{- with .Values.api.ingress.secretName | default $certificate -}}
secretName: {{ . }}
{{- end -}}
{{- end -}}

{{- define "aichat-workspace-operator.egress-ports" -}}
{{- range concat .Values.networkPolicies.apiServerPorts .Values.networkPolicies.egressPorts }}
- port: {{ . }}
  protocol: TCP
{{- end }}
{{- end -}}

{{- /* Peers of a network policy. Takes namespaces, the labels of their pods, and address ranges. */ -}}
{{- define "aichat-workspace-operator.peers" -}}
- namespaceSelector:
    matchExpressions:
      - key: kubernetes.io/metadata.name
        operator: In
        values: {{ index . 0 | toJson }}
  {{- with index . 1 }}
  podSelector:
    matchLabels:
      {{- toYaml . | nindent 6 }}
  {{- end }}
{{- range index . 2 }}
- ipBlock:
    cidr: {{ . }}
{{- end }}
{{- end -}}

{{- /* No peers at all are everybody. A Gateway's pods are in its namespace, or in its controller's. */ -}}
{{- define "aichat-workspace-operator.ingress-peers" -}}
{{- $gateway := .Values.api.gateway.enabled | ternary (list .Values.api.gateway.namespace) list -}}
{{- with .Values.networkPolicies -}}
{{- if .anySource -}}
[]
{{- else -}}
{{ include "aichat-workspace-operator.peers" (list (concat .ingressNamespaces $gateway | uniq) .ingressPodLabels .sourceRanges) }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "aichat-workspace-operator.dns-peers" -}}
{{- with .Values.networkPolicies.dns -}}
{{ include "aichat-workspace-operator.peers" (list .namespaces .podLabels .addresses) }}
{{- end -}}
{{- end -}}

{{- define "aichat-workspace-operator.dns-ports" -}}
{{- range .Values.networkPolicies.dns.ports }}
- port: {{ . }}
  protocol: UDP
- port: {{ . }}
  protocol: TCP
{{- end }}
{{- end -}}
