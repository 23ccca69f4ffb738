// THE contract between kernels and the rest: for each op its geometry and arrays (a plain struct) and its kernels.
// Shapes are written here and nowhere else. All arrays are float32 unless said otherwise; sizes count elements.
//
// A kernel is a set of tasks. tasks(args) depends on the shape only, never on threads, and each task writes elements
// that no other task writes; run(args, begin, end, scratch) does the tasks [begin, end). Who runs which task, and on
// how many threads, therefore never changes a bit of the result.
#pragma once
#include <stdint.h>

namespace fastnn {

template <class Args>
struct Kernel {
  int64_t (*tasks)(const Args&);
  int64_t (*scratch)(const Args&);  // floats of scratch one thread needs in run(); null: none
  void (*run)(const Args&, int64_t begin, int64_t end, float* scratch);
};

// A kernel whose tasks need what others wrote: all tasks of a step are done before the next step begins. Each task has
// elements of its own through all steps.
template <class Args>
struct SteppedKernel {
  int64_t (*steps)(const Args&);
  int64_t (*tasks)(const Args&);  // of every step
  void (*run)(const Args&, int64_t step, int64_t begin, int64_t end);
};

// ---- activation ---------------------------------------------------------------------------------------------------
// y = f(x) and dx = f'(x) dy, elementwise over flat memory.
enum class Function { relu, leaky_relu, gelu, gelu_tanh, silu, sigmoid, tanh, exp, log, erf };
struct Activation {
  Function function;
  int64_t size;
  float slope;  // of leaky_relu for x < 0
  const float* x;
  float* y;
};
struct ActivationBackward {
  Function function;  // exp, log and erf have none
  int64_t size;
  float slope;
  const float* saved;  // y for relu, sigmoid and tanh; else x
  const float* dy;
  float* dx;
};

// ---- avgpool2d ----------------------------------------------------------------------------------------------------
// y (n, oh, ow, c) = means of x (n, h, w, c) over windows, along each axis
//   kernel > 0: window i begins at i * stride - padding, has kernel pixels, and is cut at size + padding;
//   kernel == 0: window i is [floor(i * size / count), ceil((i + 1) * size / count)), as adaptive pooling has it.
// Only pixels of the image are added. A sum is divided by divisor, or, where that is 0, by the pixels of the window:
// all of them (count_padding) or those of the image.
struct PoolAxis {
  int64_t size, count;  // of the image, of the output
  int64_t kernel, stride, padding;
};
struct AvgPool2d {
  int64_t n, c;
  PoolAxis rows, columns;
  bool count_padding;
  int64_t divisor;
};
struct AvgPool2dForward {
  AvgPool2d g;
  const float* x;
  float* y;
};
struct AvgPool2dBackward {
  AvgPool2d g;
  const float* dy;
  float* dx;
};

// ---- batchnorm ----------------------------------------------------------------------------------------------------
// y (rows, c) = (x - mean) * rstd * weight + bias for x (rows, c): n, h, w are rows. weight and bias (c) may be null.
// statistics (4, c): the mean as the sum of two floats (a mean far from zero needs more digits than one), rstd =
// 1 / sqrt(variance + eps), and the variance (over rows, not rows - 1). relu: max(y, 0) instead of y.
struct BatchNorm {
  int64_t rows, c;
  const float *x, *weight, *bias;
  double eps;
  bool relu;
  float* statistics;
  float* y;
  float* partials;  // batchnorm_workspace(args) floats
};
// sums (2, c) = sum over rows of dy, and of dy * (x - mean) * rstd: the gradients of bias and weight. dx from them, or,
// where `fixed` (mean and variance did not come from x), just dy * rstd * weight. relu: dy counts where y, computed
// once more from x, is positive; only then bias is read.
struct BatchNormBackward {
  int64_t rows, c;
  const float *x, *dy, *weight, *bias, *statistics;
  bool fixed, relu;
  float* sums;
  float* dx;
  float* partials;  // batchnorm_workspace of the forward, floats
};

// ---- conv2d -------------------------------------------------------------------------------------------------------
// y (n, oh, ow, k) = sum over taps and c of x (n, h, w, c) * w (k, c / groups, kh, kw), plus bias (k) where not null.
// Activations are channels-last in memory (x_nchw: x is n, c, h, w instead); weights are as the user holds them.
struct Conv2d {
  int64_t n, c, h, w, k, kh, kw, oh, ow;
  int64_t stride_h, stride_w, dilation_h, dilation_w, groups;
  int64_t pad_top, pad_left;  // below and right follow from oh, ow
  bool x_nchw;
  bool direct;  // no Winograd, whatever the shape
};
// dot, planar: direct, with source channels or pixels as the lanes, for few output channels (of x in backward_input);
// spread: direct, with the channels of x in a row of taps as the lanes; grouped: as depthwise, with the channels of a
// few groups as the lanes; winograd2, winograd4: with tiles of 2x2 or 4x4 outputs.
enum class Conv2dAlgorithm { depthwise, direct, dot, grouped, planar, spread, winograd2, winograd4 };
struct Conv2dForward {
  Conv2d g;
  const float *x, *weight, *bias;
  float* y;
  float* packed;  // conv2d_workspace(g) floats, made by conv2d_pack
};
struct Conv2dBackwardInput {
  Conv2d g;
  const float *dy, *weight;
  float* dx;      // (n, h, w, c), also where x was n, c, h, w
  float* packed;  // conv2d_backward_input_workspace(g) floats, made by conv2d_backward_input_pack
};
struct Conv2dBackwardWeight {
  Conv2d g;
  const float *x, *dy;
  float* dw;        // (k, c / groups, kh, kw)
  float* partials;  // conv2d_partials(g) floats
};

// ---- crf ----------------------------------------------------------------------------------------------------------
// Chains of tags, one of k at each of the first lengths[i] steps of sample i. A chain scores start of its first tag,
// end of its last, emissions of each tag and transitions (from, to) of each pair.
struct Crf {
  int64_t t, n, k;
  const float* emissions;    // (t, n, k)
  const float* transitions;  // (k, k)
  const float *start, *end;  // (k)
  const int64_t* lengths;    // (n), in [1, t]
};
// losses (n): log(sum over all chains of exp(score)) - score of the chain tags (t, n), all in [0, k) as far as they
// count; and the gradients of the sum of losses times weights (n).
struct CrfLoss {
  Crf g;
  const int64_t* tags;
  const float* weights;
  float* losses;
  float* d_emissions;               // (t, n, k), zero beyond lengths; null: no gradients
  float *d_transitions, *d_bounds;  // (k, k), (2, k): of start and end
  double* partials;                 // crf_partials(g) doubles
};
// tags (n, t): the chain with the highest score, -1 beyond lengths; of equals the first, compared from the last tag
// back.
struct CrfDecode {
  Crf g;
  int64_t* tags;
  float* scores;  // (n)
};

// ---- cross_entropy ------------------------------------------------------------------------------------------------
// Loss of row r: -sum over c of q[c] log(softmax(x[r]))[c], and its gradient times `scale`, in one sweep.
// q = weight * ((1 - smoothing) * onehot(target) + smoothing / columns), or with the probabilities instead of the
// onehot. Rows whose target is ignore_index or outside [0, columns) have loss and gradient 0.
struct CrossEntropy {
  int64_t rows, columns;
  const float* x;              // (rows, columns)
  const int64_t* target;       // (rows), or null: then
  const float* probabilities;  // (rows, columns)
  const float* weight;         // (columns); null: ones
  int64_t ignore_index;
  float smoothing;
  double scale;      // of gradient and total, not of losses
  float* losses;     // (rows) or null
  float* dx;         // (rows, columns) or null
  double* partials;  // cross_entropy_partials(args) doubles
  float* total;      // (1): scale times the sum of the losses
};

// ---- ctc ----------------------------------------------------------------------------------------------------------
// losses (n): -log of the probability that log_probs x (t, n, c), of which the first `frames` of a sample count, give
// to its labels, over all alignments; dx = its gradient times weights (n), zero in frames that do not count.
struct Ctc {
  int64_t t, n, c, s;  // s: the largest of lengths
  int64_t blank;
  const float* x;
  const int64_t* labels;   // of sample i: lengths[i] of them from starts[i], all in [0, c), none is the blank
  const int64_t* starts;   // (n)
  const int64_t* lengths;  // (n)
  const int64_t* frames;   // (n), in [0, t]
  const float* weights;    // (n)
  bool zero_infinity;      // where there is no alignment: loss and gradient 0, not infinity and NaN
  float* losses;           // (n)
  float* dx;               // (t, n, c) or null
};
// labels (n, t): the likeliest class of each frame, the first of equals, runs of one class as one, without blanks; of
// these there are counts (n), then -1. scores (n): the sums of the log_probs taken. A frame of NaNs counts as blank.
struct CtcGreedy {
  int64_t t, n, c, blank;
  const float* x;         // (t, n, c)
  const int64_t* frames;  // (n), in [0, t]
  int64_t *labels, *counts;
  float* scores;
};

// ---- digest -------------------------------------------------------------------------------------------------------
// words (digest_words(size)) = a fingerprint of the bits of x (size).
struct DigestArgs {
  int64_t size;
  const float* x;
  uint32_t* words;
};

// ---- dropout ------------------------------------------------------------------------------------------------------
// y = x * factor where the random 32 bits of the element are at least `threshold`, else 0. They are a hash of the
// element's index and the key, so the mask is never stored: backward is the same call on dy.
struct Dropout {
  int64_t size;
  uint64_t key;
  uint32_t threshold;  // 2^32 p
  float factor;        // 1 / (1 - p)
  const float* x;
  float* y;
};

// ---- embedding ----------------------------------------------------------------------------------------------------
// y (count, width) = rows of weight (rows, width) named by indices (count), all in [-1, rows); -1: zeros.
struct Embedding {
  int64_t count, rows, width;
  const int64_t* indices;
  const float* weight;
  float* y;
};
// dw (rows, width) = sum of the rows of dy (count, width) with that index, in their order; row `skip` is zero
// (-1: none).
struct EmbeddingBackward {
  int64_t count, rows, width, skip;
  const int64_t* indices;
  const float* dy;
  float* dw;
  int64_t* starts;  // (rows + 1): where each row's part of `order` begins
  int64_t* order;   // (count): positions in indices, sorted by index, then by position
};

// ---- gemm ---------------------------------------------------------------------------------------------------------
// c (batch, m, n) = a (batch, m, k) . b (batch, k, n), plus bias (n) where not null. Any strides for a and b, columns
// of c are contiguous. Each element is one chain of multiply-adds in the order of k, starting from the bias.
struct Gemm {
  int64_t batch, m, n, k;
  const float* a;
  int64_t a_batch, a_row, a_col;
  const float* b;
  int64_t b_batch, b_row, b_col;  // b_batch == 0: one b for all
  const float* bias;
  float* c;
  int64_t c_batch, c_row;
  float* packed;  // gemm_workspace(args) floats
};

// ---- gru, lstm, rnn -----------------------------------------------------------------------------------------------
// One direction of one layer over n sequences (samples), packed: step i of t holds the rows [starts[i], starts[i + 1]),
// one for each sample longer than i, longest first, so that sample r is row r of each of its steps. reverse walks from
// the end of every sample to its beginning. Gates are (rows, gates, h) in torch's order, weight is w_hh (gates, h, h).
// On the way forward gates hold x . w_ih + biases. Rows of y and dy, (rows, h), are y_row and dy_row floats apart, so
// that they may be columns of a wider array. dh and dc (n, h) hold the gradient of the last states and are left with
// the first's.
struct Sequence {
  int64_t t, n, h;
  bool reverse;
  const int64_t* starts;  // (t + 1): from 0 to all rows, by n at first and never by more than before
};
// A part of the walk, so that gates can be made and used while they are in cache: steps [begin, end) in its order, and
// the first row of the packed ones that is in gates.
struct Stretch {
  int64_t begin, end, row;
};
// h = tanh or relu of (gates + h . w_hh).
struct RnnForward {
  Sequence s;
  Stretch part;
  bool relu;
  const float* gates;
  const float* packed;  // rnn_workspace(s) floats, made by rnn_forward_pack
  const float* h0;      // (n, h); null: zeros
  float* y;
  int64_t y_row;
};
struct RnnBackward {
  Sequence s;
  bool relu;
  const float *packed, *y;
  int64_t y_row;
  const float* dy;  // null: zeros
  int64_t dy_row;
  float* gates;  // out: their gradient
  float* dh;
};
// i, f, g, o; c = f c + i g, h = o tanh(c).
struct LstmForward {
  Sequence s;
  Stretch part;
  float* gates;          // out, where keep: after their nonlinearities
  const float* packed;   // lstm_workspace(s) floats, made by lstm_forward_pack
  const float *h0, *c0;  // (n, h); null: zeros
  float* c;              // (rows, h) where keep, else (n, h): the last of each sample
  float* y;
  int64_t y_row;
  bool keep;
};
struct LstmBackward {
  Sequence s;
  float* gates;  // as forward kept them; out: their gradient, before the nonlinearities
  const float *packed, *c0, *c;
  const float* dy;  // null: zeros
  int64_t dy_row;
  float *dh, *dc;
};
// r, z, n; m = h . w_hn + b_hn, n = tanh(gate + r m), h = (1 - z) n + z h.
struct GruForward {
  Sequence s;
  Stretch part;
  float* gates;                // out, where m is not null: after their nonlinearities
  const float *packed, *bias;  // gru_workspace(s) floats, made by gru_forward_pack; b_hn (h); null: zeros
  const float* h0;             // (n, h); null: zeros
  float* m;                    // (rows, h), or null: not kept
  float* y;
  int64_t y_row;
};
struct GruBackward {
  Sequence s;
  float *gates, *m;  // as forward kept them; out: their gradient, before the nonlinearities
  const float *packed, *h0, *y;
  int64_t y_row;
  const float* dy;  // null: zeros
  int64_t dy_row;
  float* dh;
};
// w_hh (gates, h, h) in the order in which a kernel reads it.
struct RecurrentPack {
  int64_t h;
  const float* weight;
  float* packed;
};

// ---- gru_variant, lstm_variant ------------------------------------------------------------------------------------
// One direction of one layer as gru and lstm, with options; a null pointer is an option that is off. Rows of a mask are
// those of the packed rows, `row` floats apart, 0 where one row is for all: the part of a state that stays as it was
// (zone), or what the candidate is multiplied by (drop).
struct Mask {
  const float* data;
  int64_t row;
};
// b (k, n) in the order in which the products of a step read it: weight is (k, n), or (n, k) where transposed.
struct StepPack {
  int64_t k, n;
  bool transposed;
  const float* weight;
  float* packed;  // step_workspace(k, n) floats
};
// With i = 1 - f where coupled, and a hat for what is normalised to mean 0 and variance 1 (else it is x . w_ih + biases
// and h . w_hh themselves, without gains):
//   z = norm_x hat(x . w_ih) + norm_h hat(h . w_hh) + bias; i and f see peephole c of the step before, o that of u
//   u = clipped f c + i (drop g), c = zone_c c + (1 - zone_c) u, m = o tanh(norm_c hat(u) + bias_c)
//   h = zone_h h + (1 - zone_h) m . w_hr
struct LstmVariant {
  Sequence s;                             // h: of c
  int64_t p;                              // width of h and y: that of w_hr, else s.h
  bool coupled;                           // gates are f, g, o; else i, f, g, o
  float clip;                             // infinity: off
  const float *w_hh, *w_hr;               // packed: forward (p, gates h) and (h, p), backward (gates h, p) and (p, h)
  const float* peephole;                  // (3, h)
  const float *norm_x, *norm_h, *norm_c;  // (gates h), (gates h), (h): all or none
  const float *bias, *bias_c;             // (gates h), (h): of the norms; null: zeros
  Mask zone_c, zone_h, drop;              // rows of h, p and h
  const float *h0, *c0;                   // (n, p), (n, h); null: zeros
  float* gates;                           // (rows, gates h): out, where keep: after their nonlinearities
  float *hat_x, *hat_h;                   // out, with norms: (rows, gates h)
  float* scale;                           // out, with norms: (rows, 2), 1 / deviation of both
  float* c;                               // (rows, h) where keep, else (n, h): the last of each sample
  float* m;                               // (rows, h) with w_hr
  float* y;
  int64_t y_row;
};
struct LstmVariantForward : LstmVariant {
  Stretch part;  // gates, hat_x, hat_h, scale and m begin at part.row
  bool keep;
};
// As forward kept them; gates become the gradient of z, hat_x and hat_h that of the products.
struct LstmVariantBackward : LstmVariant {
  const float* dy;  // null: zeros
  int64_t dy_row;
  float* dp;      // out, with w_hr: (rows, p), the gradient of m . w_hr; else (n, h) of scratch
  float *dm, *u;  // (n, h) of scratch, dm with w_hr only
  float *dh, *dc;
  float *d_peephole, *d_norm_x, *d_norm_h, *d_norm_c, *d_bias_c;  // one row for each sample, which is added to
  int64_t sums_row;                                               // between these rows
};
// r, z, n; n = tanh(gate + m . w_hn) with m = r h, or, where reset_after, tanh(gate + r m) with m = h . w_hn + b_hn;
// h = zone h + (1 - zone) ((1 - z) (drop n) + z h).
struct GruVariant {
  Sequence s;
  bool reset_after;
  const float *w_rz, *w_n;  // packed: forward (h, 2 h) and (h, h), backward (2 h, h) and (h, h)
  const float* bias;        // b_hn (h), where reset_after; null: zeros
  Mask zone, drop;
  const float* h0;   // (n, h); null: zeros
  float *gates, *m;  // (rows, 3 h) and (rows, h); out: after their nonlinearities
  float* y;
  int64_t y_row;
};
struct GruVariantForward : GruVariant {
  Stretch part;  // gates and m begin at part.row
};
// As forward kept them; gates become their gradient, m too where reset_after.
struct GruVariantBackward : GruVariant {
  const float* dy;  // null: zeros
  int64_t dy_row;
  float *dh, *dm;  // dm: (n, h) of scratch, unless reset_after
};

// ---- maxpool2d ----------------------------------------------------------------------------------------------------
// y (n, oh, ow, c) = the largest of x (n, h, w, c) at oy * stride - pad + ky * dilation, ..., over the taps inside the
// image; the first of equals; NaN if there is one, -inf if no tap is inside.
struct MaxPool2d {
  int64_t n, c, h, w, kh, kw, oh, ow;
  int64_t stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
};
// index (n, oh, ow, c): the tap ky * kw + kx that was taken, in bytes where kh * kw <= 256, else in int32.
struct MaxPool2dForward {
  MaxPool2d g;
  const float* x;
  float* y;
  uint8_t* index8;
  int32_t* index32;  // one of the two, or neither where no gradient is wanted
};
struct MaxPool2dBackward {
  MaxPool2d g;
  const float* dy;
  const uint8_t* index8;
  const int32_t* index32;  // one of the two
  float* dx;
};

// ---- mse_loss -----------------------------------------------------------------------------------------------------
// total = scale * sum of (x - target)^2, squares and sums in float64, and its gradient; losses are the squares.
struct MseLoss {
  int64_t size;
  const float *x, *target;
  double scale;      // of gradient and total
  float* losses;     // (size) or null
  float* dx;         // (size) or null
  double* partials;  // mse_loss_partials(args) doubles
  float* total;      // (1)
};

// ---- optimizer ----------------------------------------------------------------------------------------------------
// One step of stochastic gradient descent over n weights, in place; g is the gradient, negated to maximize.
// d = g + weight_decay w; with a buffer: buffer = d (first) or momentum buffer + (1 - dampening) d, and then
// d = buffer, or d + momentum buffer (nesterov); w -= lr d.
struct Sgd {
  int64_t n;
  float* weight;
  const float* grad;
  float* buffer;  // null: no momentum
  float lr, momentum, one_minus_dampening, weight_decay;
  bool nesterov, maximize, first;
};
// One step of Adam (AdamW where decoupled) over n weights, in place. m and v are running means of g and g g;
// w -= lr_m m / (scale_v sqrt(v) + eps), where lr_m = lr / (1 - beta1^t) and scale_v = 1 / sqrt(1 - beta2^t).
// weight_decay times w is added to g, or, already multiplied by lr, subtracted from w (decoupled).
struct Adam {
  int64_t n;
  float* weight;
  const float* grad;
  float *m, *v;
  float beta1, one_minus_beta1, beta2, one_minus_beta2, lr_m, scale_v, eps, weight_decay;
  bool decoupled, maximize;
};
// *out = sum of the squares of x (n), in double.
struct SumSquares {
  int64_t n;
  const float* x;
  double* partials;  // one per task of sum_squares_partial
  double* out;
};

// ---- recurrent_step -----------------------------------------------------------------------------------------------
// One time step of one sample through one layer of gru, lstm or rnn, with the formulas above. Its vectors of h floats
// are written in whole: they have room for a multiple of kStatePadding floats, and what is beyond h is never used.
constexpr int64_t kStatePadding = 16;
enum class Cell { rnn_relu, rnn_tanh, gru, lstm };
struct RecurrentLayer {
  Cell cell;
  int64_t inputs, h;
};
struct RecurrentStepPack {
  RecurrentLayer layer;
  const float *weight_ih, *weight_hh;  // (gates, h, inputs), (gates, h, h)
  const float *bias_ih, *bias_hh;      // (gates, h); both null: zeros
  float* packed;                       // recurrent_step_floats(layer) floats
};
struct RecurrentStep {
  RecurrentLayer layer;
  const float* packed;  // made by recurrent_step_pack
  const float* x;       // (inputs)
  const float* before;  // (h); null: zeros
  float* c;             // (h), only of lstm: of the step before, out: of this one
  float* after;         // (h), other memory than before
};

// ---- roofline -----------------------------------------------------------------------------------------------------
// For benchmarks. out (tasks): sums of chains of multiply-adds of `steps` steps each.
struct RooflinePeak {
  int64_t tasks, steps;
  float* out;
};
// y (size) = x (size)
struct RooflineCopy {
  int64_t size;
  const float* x;
  float* y;
};

// ---- softmax ------------------------------------------------------------------------------------------------------
// y = softmax(x), or its logarithm, of each row; dx = y (dy - sum of dy y), or dy - exp(y) (sum of dy).
struct Softmax {
  int64_t rows, columns;
  bool log;
  const float* x;  // (rows, columns)
  float* y;        // (rows, columns)
};
struct SoftmaxBackward {
  int64_t rows, columns;
  bool log;
  const float *y, *dy;  // (rows, columns)
  float* dx;            // (rows, columns)
};

// ---- sum_rows -----------------------------------------------------------------------------------------------------
// out (columns) = sum over rows of x (rows, columns), rows x_row floats apart: the gradient of a bias.
struct SumRows {
  int64_t rows, columns, x_row;
  const float* x;
  float* out;
  float* partials;  // sum_rows_workspace(args) floats
};

// ---- transpose ----------------------------------------------------------------------------------------------------

struct Transpose {
  int64_t n, rows, cols;
  const float* x;
  float* y;
};

struct Kernels {
  Kernel<Activation> activation_forward;
  Kernel<ActivationBackward> activation_backward;

  Kernel<Adam> adam;

  Kernel<AvgPool2dForward> avgpool2d_forward;
  Kernel<AvgPool2dBackward> avgpool2d_backward;

  int64_t (*batchnorm_workspace)(int64_t rows, int64_t c);
  Kernel<BatchNorm> batchnorm_partial;     // before batchnorm_statistics
  Kernel<BatchNorm> batchnorm_statistics;  // before batchnorm_forward
  Kernel<BatchNorm> batchnorm_forward;
  Kernel<BatchNormBackward> batchnorm_backward_partial;  // before batchnorm_backward_sums
  Kernel<BatchNormBackward> batchnorm_backward_sums;     // before batchnorm_backward
  Kernel<BatchNormBackward> batchnorm_backward;

  Conv2dAlgorithm (*conv2d_forward_algorithm)(const Conv2d&);
  Conv2dAlgorithm (*conv2d_backward_input_algorithm)(const Conv2d&);
  Conv2dAlgorithm (*conv2d_backward_weight_algorithm)(const Conv2d&);
  int64_t (*conv2d_workspace)(const Conv2d&);
  int64_t (*conv2d_backward_input_workspace)(const Conv2d&);
  int64_t (*conv2d_partials)(const Conv2d&);
  Kernel<Conv2dForward> conv2d_pack;  // before conv2d_forward
  Kernel<Conv2dForward> conv2d_forward;
  Kernel<Conv2dBackwardInput> conv2d_backward_input_pack;  // before conv2d_backward_input
  Kernel<Conv2dBackwardInput> conv2d_backward_input;
  Kernel<Conv2dBackwardWeight> conv2d_backward_weight_partial;  // before conv2d_backward_weight
  Kernel<Conv2dBackwardWeight> conv2d_backward_weight;

  int64_t (*crf_partials)(const Crf&);
  Kernel<CrfLoss> crf_loss;
  Kernel<CrfLoss> crf_gradient;  // of transitions, start and end; after crf_loss
  Kernel<CrfDecode> crf_decode;

  int64_t (*cross_entropy_partials)(const CrossEntropy&);
  Kernel<CrossEntropy> cross_entropy_partial;  // before cross_entropy
  Kernel<CrossEntropy> cross_entropy;

  Kernel<Ctc> ctc;
  Kernel<CtcGreedy> ctc_greedy;

  int64_t (*digest_words)(int64_t size);
  Kernel<DigestArgs> digest;

  Kernel<Dropout> dropout;

  Kernel<Embedding> embedding_forward;
  Kernel<EmbeddingBackward> embedding_backward_sort;  // before embedding_backward
  Kernel<EmbeddingBackward> embedding_backward;

  int64_t (*gemm_workspace)(const Gemm&);
  Kernel<Gemm> gemm_pack;  // before gemm
  Kernel<Gemm> gemm;

  int64_t (*gru_workspace)(int64_t h);
  Kernel<RecurrentPack> gru_forward_pack;  // before gru_forward
  SteppedKernel<GruForward> gru_forward;
  Kernel<RecurrentPack> gru_backward_pack;  // before gru_backward
  SteppedKernel<GruBackward> gru_backward;

  SteppedKernel<GruVariantForward> gru_variant_forward;
  SteppedKernel<GruVariantBackward> gru_variant_backward;

  int64_t (*lstm_workspace)(int64_t h);
  Kernel<RecurrentPack> lstm_forward_pack;  // before lstm_forward
  SteppedKernel<LstmForward> lstm_forward;
  Kernel<RecurrentPack> lstm_backward_pack;  // before lstm_backward
  SteppedKernel<LstmBackward> lstm_backward;

  SteppedKernel<LstmVariantForward> lstm_variant_forward;
  SteppedKernel<LstmVariantBackward> lstm_variant_backward;

  Kernel<MaxPool2dForward> maxpool2d_forward;
  Kernel<MaxPool2dBackward> maxpool2d_backward;

  int64_t (*mse_loss_partials)(const MseLoss&);
  Kernel<MseLoss> mse_loss_partial;  // before mse_loss
  Kernel<MseLoss> mse_loss;

  int64_t (*recurrent_step_floats)(const RecurrentLayer&);
  Kernel<RecurrentStepPack> recurrent_step_pack;  // before recurrent_step
  Kernel<RecurrentStep> recurrent_step;

  int64_t (*rnn_workspace)(int64_t h);
  Kernel<RecurrentPack> rnn_forward_pack;  // before rnn_forward
  SteppedKernel<RnnForward> rnn_forward;
  Kernel<RecurrentPack> rnn_backward_pack;  // before rnn_backward
  SteppedKernel<RnnBackward> rnn_backward;

  int64_t (*roofline_peak_flops)(const RooflinePeak&);
  Kernel<RooflinePeak> roofline_peak;
  Kernel<RooflineCopy> roofline_copy;

  Kernel<Sgd> sgd;

  Kernel<Softmax> softmax_forward;
  Kernel<SoftmaxBackward> softmax_backward;

  int64_t (*step_workspace)(int64_t k, int64_t n);
  Kernel<StepPack> step_pack;  // before gru_variant and lstm_variant, forward and backward

  Kernel<SumSquares> sum_squares_partial;  // before sum_squares
  Kernel<SumSquares> sum_squares;
  int64_t (*sum_rows_workspace)(const SumRows&);
  Kernel<SumRows> sum_rows_partial;  // before sum_rows
  Kernel<SumRows> sum_rows;
  Kernel<Transpose> transpose;
};

}  // namespace fastnn
