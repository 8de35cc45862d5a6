{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* The names do not follow the release: the Lease and what the leader publishes have fixed ones, so a namespace holds one Fairlead. */}}
{{- define "fairlead.name" -}}
{{ .Values.fullnameOverride | default "fairlead" }}
{{- end }}

{{/* Of what has no namespace, since another namespace may hold another Fairlead for another class. */}}
{{- define "fairlead.clusterName" -}}
{{ printf "%s-%s.%s" (include "fairlead.name" .root) .component .root.Release.Namespace }}
{{- end }}

{{- define "fairlead.selector" -}}
app.kubernetes.io/name: fairlead
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "fairlead.labels" -}}
{{ include "fairlead.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "fairlead.image" -}}
{{ printf "%s:%s" .image.repository (.image.tag | default .root.Chart.AppVersion) }}
{{- end }}

{{/* Where the API server is, unless it is found as by every Pod. */}}
{{- define "fairlead.apiServerEnv" -}}
{{- with .Values.apiServer.host -}}
- {name: KUBERNETES_SERVICE_HOST, value: {{ . | quote }}}
{{ end }}
{{- with .Values.apiServer.port -}}
- {name: KUBERNETES_SERVICE_PORT, value: {{ . | quote }}}
{{ end }}
{{- end }}

{{- define "fairlead.unprivileged" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* "ADDRESS:PORT" of an address of either family. */}}
{{- define "fairlead.listen" -}}
{{ printf "[%s]:%v" (.address | trimPrefix "[" | trimSuffix "]") .port }}
{{- end }}

{{/* The flags of both daemons about HTTP, but for where. */}}
{{- define "fairlead.httpArgs" -}}
- --http-status={{ .Values.http.status }}
{{- if .Values.http.tokenSecret }}
- --http-token-file=/etc/fairlead/http/token
{{- end }}
{{- end }}

{{- define "fairlead.tokenMount" -}}
{name: http-token, mountPath: /etc/fairlead/http, readOnly: true}
{{- end }}

{{/* A directory, so that a token that changes is seen. */}}
{{- define "fairlead.tokenVolume" -}}
name: http-token
secret:
  secretName: {{ .Values.http.tokenSecret }}
  items: [{key: token, path: token}]
  defaultMode: 0444
{{- end }}

{{/* "true" where pools select by the labels of Namespaces: auto looks for the key in the configuration of the values. */}}
{{- define "fairlead.watchNamespaces" -}}
{{- $config := kindIs "string" .Values.config | ternary .Values.config (toYaml .Values.config) }}
{{- $watch := .Values.controller.watchNamespaces }}
{{- if kindIs "bool" $watch }}
{{- $watch | ternary "true" "" }}
{{- else if regexMatch "(?m)^[^#\\n]*namespace-selectors" $config -}}
true
{{- end }}
{{- end }}

{{/* "true" where the leader keeps a journal: auto looks for the key in the configuration of the values. */}}
{{- define "fairlead.keepsJournal" -}}
{{- $config := kindIs "string" .Values.config | ternary .Values.config (toYaml .Values.config) }}
{{- $keeps := .Values.controller.journal }}
{{- if kindIs "bool" $keeps }}
{{- $keeps | ternary "true" "" }}
{{- else if regexMatch "(?m)^journal[ \\t]*:" $config -}}
true
{{- end }}
{{- end }}

{{/* "true" where addresses may cool down, or be given in turn: a pool of the values says so, or the configuration is kept elsewhere. */}}
{{- define "fairlead.keepsNotes" -}}
{{- $config := kindIs "string" .Values.config | ternary .Values.config (toYaml .Values.config) }}
{{- if or (not .Values.config) (regexMatch "(?m)^[^#\\n]*(cool-down|round-robin)" $config) -}}
true
{{- end }}
{{- end }}

{{/* The journal's ConfigMaps: JOURNAL_MAPS of them. */}}
{{- define "fairlead.journalMaps" -}}
{{- range $i := until 16 }}{{ if $i }}, {{ end }}fairlead-journal-{{ $i }}{{ end }}
{{- end }}

{{- define "fairlead.frrSocketDir" -}}
{{ .Values.frr.socketDir | default (eq .Values.frr.mode "host" | ternary "/run/frr" "/run/fairlead/frr") }}
{{- end }}

{{/* zebra needs SYS_ADMIN, bgpd NET_BIND_SERVICE and SYS_ADMIN; all of them change their user; CHOWN and KILL are for the start and the end. */}}
{{- define "fairlead.frrContainer" -}}
name: frr
image: {{ include "fairlead.image" (dict "root" . "image" .Values.frr.image) | quote }}
imagePullPolicy: {{ .Values.frr.image.pullPolicy }}
{{- with .Values.frr.extraArgs }}
args: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if not .Values.frr.listen }}
env:
  - {name: FRR_LISTEN, value: "false"}
{{- end }}
securityContext:
  runAsUser: 0
  runAsGroup: 92
  readOnlyRootFilesystem: true
  allowPrivilegeEscalation: false
  capabilities:
    drop: [ALL]
    add: [NET_ADMIN, NET_RAW, NET_BIND_SERVICE, SYS_ADMIN, SETUID, SETGID, CHOWN, KILL]
livenessProbe:
  exec:
    command: [vtysh, -d, bgpd, -c, show version]
  initialDelaySeconds: 5
  periodSeconds: 10
  timeoutSeconds: 5
resources: {{- toYaml .Values.frr.resources | nindent 2 }}
volumeMounts:
  - {name: frr-sockets, mountPath: /run/frr}
  - {name: frr-tmp, mountPath: /var/tmp/frr}
  {{- if .Values.frr.config }}
  - {name: frr-config, mountPath: /etc/frr/frr.conf, subPath: frr.conf, readOnly: true}
  {{- end }}
{{- end }}

{{- define "fairlead.frrVolumes" -}}
- name: frr-tmp
  emptyDir: {}
{{- if .Values.frr.config }}
- name: frr-config
  configMap: {name: {{ include "fairlead.name" . }}-frr}
{{- end }}
{{- end }}
