// AdamW on single rows of a table, with the steps that a row has missed. Part of kernels.cpp, inside its namespace.

// An average gradient below this no longer moves a parameter and counts as 0.
constexpr float SPENT = 1e-30f;

void adamw_rows(float *parameter, float *exp_avg, float *exp_avg_sq, uint32_t *last, const int64_t *rows,
                const float *gradient, float divisor, const AdamwCoefficients *coefficients, uint32_t first_step,
                uint32_t step, int64_t begin, int64_t end, int64_t width) {
    for (int64_t index = begin; index < end; index++) {
        const int64_t row = rows[index], start = row * width;
        const uint32_t from = last[row], idle_until = gradient ? step - 1 : step;
        along(width, [&](int64_t i, int64_t count) {
            Floats p = take(parameter + start + i, count);
            Floats m = take(exp_avg + start + i, count), v = take(exp_avg_sq + start + i, count);
            for (uint32_t at = from + 1; at <= idle_until; at++) {
                const AdamwCoefficients &n = coefficients[at - first_step];
                p *= 1.0f - n.learning_rate * n.weight_decay;
                v *= n.beta2;
                if (largest(maximum(m, -m)) < SPENT) {
                    m = Floats{};
                } else {
                    m *= n.beta1;
                    p -= n.learning_rate / n.correction1 * m / (root(v) * (1.0f / n.correction2_root) + n.epsilon);
                }
            }
            if (gradient) {
                const AdamwCoefficients &n = coefficients[step - first_step];
                Floats g = take(gradient + index * width + i, count) * (1.0f / divisor);
                m = m * n.beta1 + g * (1.0f - n.beta1);
                v = v * n.beta2 + g * g * (1.0f - n.beta2);
                p *= 1.0f - n.learning_rate * n.weight_decay;
                p -= n.learning_rate / n.correction1 * m / (root(v) * (1.0f / n.correction2_root) + n.epsilon);
            }
            put(parameter + start + i, p, count);
            put(exp_avg + start + i, m, count);
            put(exp_avg_sq + start + i, v, count);
        });
        last[row] = step;
    }
}
