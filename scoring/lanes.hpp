// Four floats or four doubles at a time, in the vectors that GCC and Clang share ("Vector Extensions"):
// arithmetic goes over all lanes, a comparison gives all ones or zero for each, choose() takes a lane from
// the one or the other. Vectors are 16 bytes wide, which every x86-64 has; wider ones are taken apart into
// single numbers where the processor is not known to have them, so four doubles are two halves here.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace wellhead::lanes {

inline constexpr std::uint32_t lane_count = 4;

using Floats = float __attribute__((vector_size(16)));
using Mask = std::int32_t __attribute__((vector_size(16)));
using HalfDoubles = double __attribute__((vector_size(16)));
using HalfMask = std::int64_t __attribute__((vector_size(16)));

struct Doubles {
  HalfDoubles low;
  HalfDoubles high;

  friend Doubles operator+(Doubles left, Doubles right) noexcept {
    return {left.low + right.low, left.high + right.high};
  }
  friend Doubles operator-(Doubles left, Doubles right) noexcept {
    return {left.low - right.low, left.high - right.high};
  }
  friend Doubles operator*(Doubles left, Doubles right) noexcept {
    return {left.low * right.low, left.high * right.high};
  }
  friend Doubles operator/(Doubles left, Doubles right) noexcept {
    return {left.low / right.low, left.high / right.high};
  }
};

// Masks are kept as wide as floats; comparisons of doubles are narrowed at once.
namespace detail {
inline Mask narrow(HalfMask low, HalfMask high) noexcept {
  return __builtin_shufflevector(reinterpret_cast<Mask>(low), reinterpret_cast<Mask>(high), 0, 2, 4, 6);
}
inline HalfMask low(Mask mask) noexcept {
  return reinterpret_cast<HalfMask>(__builtin_shufflevector(mask, mask, 0, 0, 1, 1));
}
inline HalfMask high(Mask mask) noexcept {
  return reinterpret_cast<HalfMask>(__builtin_shufflevector(mask, mask, 2, 2, 3, 3));
}
}  // namespace detail

inline Floats load(const float (&numbers)[lane_count]) noexcept {
  Floats floats;
  std::memcpy(&floats, numbers, sizeof(floats));
  return floats;
}
inline Doubles load(const double (&numbers)[lane_count]) noexcept {
  Doubles doubles;
  std::memcpy(&doubles, numbers, sizeof(doubles));
  return doubles;
}
inline void store(float (&numbers)[lane_count], Floats floats) noexcept {
  std::memcpy(numbers, &floats, sizeof(floats));
}
inline void store(double (&numbers)[lane_count], Doubles doubles) noexcept {
  std::memcpy(numbers, &doubles, sizeof(doubles));
}

inline Floats all(float number) noexcept {
  return Floats{number, number, number, number};
}
inline Doubles all(double number) noexcept {
  return {HalfDoubles{number, number}, HalfDoubles{number, number}};
}

inline Floats narrow(Doubles doubles) noexcept {
#if defined(__SSE2__)
  return _mm_movelh_ps(_mm_cvtpd_ps(doubles.low), _mm_cvtpd_ps(doubles.high));
#else
  return Floats{static_cast<float>(doubles.low[0]), static_cast<float>(doubles.low[1]),
                static_cast<float>(doubles.high[0]), static_cast<float>(doubles.high[1])};
#endif
}
inline Doubles widen(Floats floats) noexcept {
#if defined(__SSE2__)
  return {_mm_cvtps_pd(floats), _mm_cvtps_pd(_mm_movehl_ps(floats, floats))};
#else
  return {HalfDoubles{floats[0], floats[1]}, HalfDoubles{floats[2], floats[3]}};
#endif
}

// By bits: as a condition of vectors a mask would be compared with zero again, which SSE2 cannot for doubles.
inline Floats choose(Mask mask, Floats yes, Floats no) noexcept {
  return reinterpret_cast<Floats>((mask & reinterpret_cast<Mask>(yes)) |
                                  (~mask & reinterpret_cast<Mask>(no)));
}
inline HalfDoubles choose(HalfMask mask, HalfDoubles yes, HalfDoubles no) noexcept {
  return reinterpret_cast<HalfDoubles>((mask & reinterpret_cast<HalfMask>(yes)) |
                                       (~mask & reinterpret_cast<HalfMask>(no)));
}
inline Doubles choose(Mask mask, Doubles yes, Doubles no) noexcept {
  return {choose(detail::low(mask), yes.low, no.low), choose(detail::high(mask), yes.high, no.high)};
}
// Not a number counts as not smaller, so the right one is taken.
inline Floats smaller(Floats left, Floats right) noexcept {
  return left < right ? left : right;
}
inline Floats larger(Floats left, Floats right) noexcept {
  return left > right ? left : right;
}
inline Doubles smaller(Doubles left, Doubles right) noexcept {
  return {left.low < right.low ? left.low : right.low, left.high < right.high ? left.high : right.high};
}
inline Doubles larger(Doubles left, Doubles right) noexcept {
  return {left.low > right.low ? left.low : right.low, left.high > right.high ? left.high : right.high};
}
inline Mask equal(Doubles left, Doubles right) noexcept {
  return detail::narrow(left.low == right.low, left.high == right.high);
}
// Whether -limit <= number <= limit; false for what is not a number.
inline Mask within(Doubles numbers, Doubles limit) noexcept {
  const Doubles negative = all(0.0) - limit;
  return detail::narrow(numbers.low <= limit.low, numbers.high <= limit.high) &
         detail::narrow(numbers.low >= negative.low, numbers.high >= negative.high);
}
inline Floats absolute(Floats floats) noexcept {
  return reinterpret_cast<Floats>(reinterpret_cast<Mask>(floats) & 0x7fffffff);
}
inline Floats square_root(Floats floats) noexcept {
#if defined(__SSE2__)
  return _mm_sqrt_ps(floats);
#else
  return Floats{std::sqrt(floats[0]), std::sqrt(floats[1]), std::sqrt(floats[2]), std::sqrt(floats[3])};
#endif
}
// Bit i is lane i.
inline std::uint32_t bits_of(Mask mask) noexcept {
#if defined(__SSE2__)
  return static_cast<std::uint32_t>(_mm_movemask_ps(reinterpret_cast<__m128>(mask)));
#else
  const Mask bits = mask & Mask{1, 2, 4, 8};
  return static_cast<std::uint32_t>(bits[0] | bits[1] | bits[2] | bits[3]);
#endif
}

}  // namespace wellhead::lanes
