/* Sandgrain kernel: spectrogram of int16 signals, by an FFT of 16-bit integers in block floating point. The meaning in numpy: ops/signal/spectrogram.py. */
#ifndef SG_SPECTROGRAM_S16_H
#define SG_SPECTROGRAM_S16_H

#include "sg_fft_s16.h"
#include "sg_frames.h"
#include "sg_spectrum.h"

struct sg_spectrogram_s16 {
    int32_t frames, window, hop, fft, channels;
    int32_t first, bins;                    /* the bins that are kept */
    int32_t power, log;                     /* 1: magnitudes, 2: powers; 1: their natural logarithm */
    int32_t unit, floor, floor_shift;       /* of the logarithm: sg_spectrum.h */
    int32_t wide;                           /* 1: int16 output */
    int32_t mean, multiplier, shift, out_zero_point;
    int32_t scale;                          /* fractional bits of an int32 spectrum */
    const int16_t *taper;
    const int16_t *twiddle;
};

/* scratch: one frame, and its spectrum. */
SG_SPECIALIZE void sg_spectrogram_s16(const struct sg_spectrogram_s16 *p, const int16_t *in, void *out, int8_t *scratch)
{
    uint32_t *x = (uint32_t *)(void *)scratch;
    int32_t written = 0;
    for (int32_t i = 0; i < p->frames * p->channels; i++) {
        const int16_t *from = in + i / p->channels * p->hop * p->channels + i % p->channels;
        const int32_t lift = sg_lift(from, p->channels, p->window);
        int32_t by;
        sg_window_s16(from, p->channels, p->taper, p->window, p->fft, lift, x);
        by = 2 * (sg_rfft_s16(x, p->fft, p->twiddle) - lift + p->scale);
        SG_FFT_ROLLED
        for (int32_t k = p->first; k < p->first + p->bins; k++) {
            const uint64_t square = sg_power_s16(x, p->fft, k, by);
            const int32_t value = sg_spectrum_value(square, p->power, p->log, p->unit, p->floor, p->floor_shift);
            if (p->wide != 0) {
                ((int16_t *)out)[written++] = sg_finish_s16(value);
            } else {
                ((int8_t *)out)[written++] = sg_finish_s8(value, p->mean, p->multiplier, p->shift, p->out_zero_point);
            }
        }
    }
}

#endif
