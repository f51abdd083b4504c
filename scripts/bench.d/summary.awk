# SPDX-License-Identifier: Apache-2.0
# Lines of round, work, variant, metric, value; see summarize in summary.sh.
function median(values, n,   i, j, t) {
    for (i = 2; i <= n; i++)
        for (j = i; j > 1 && values[j - 1] > values[j]; j--) { t = values[j]; values[j] = values[j - 1]; values[j - 1] = t }
    return n % 2 ? values[(n + 1) / 2] : (values[n / 2] + values[n / 2 + 1]) / 2
}
{
    key = $2 FS $3 FS $4
    if (!(key in seen)) { seen[key] = 1; order[++keys] = key; plain[key] = $2 FS base FS $4; many[key] = $2 FS base "-" $3 FS $4 }
    value[key, $1] = $5
    if ($1 > rounds) rounds = $1
}
END {
    for (k = 1; k <= keys; k++) {
        key = order[k]
        n = m = l = 0
        for (r = 1; r <= rounds; r++) {
            if (!((key, r) in value)) continue
            values[++n] = value[key, r] + 0
            if ((plain[key], r) in value && value[plain[key], r] > 0) ratios[++m] = value[key, r] / value[plain[key], r]
            if ((many[key], r) in value && value[many[key], r] > 0) others[++l] = value[key, r] / value[many[key], r]
        }
        printf "%s\t%.10g\t%s\t%s\n", key, median(values, n), m ? sprintf("%.4f", median(ratios, m)) : "-", l ? sprintf("%.4f", median(others, l)) : "-"
    }
}
